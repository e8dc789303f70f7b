/**
 * Looks at the workers of a cluster, each by a connection.
 */
import { ClusterWorkers, type WorkerStatus } from "@fanout/core/ClusterWorkers"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stop from "../exit/Stop.ts"
import { type Check, lacking, ok } from "../machine/Check.ts"
import type { Membership } from "../options/ClusterFlags.ts"
import type { Database } from "../options/Database.ts"
import * as workerText from "../ui/workerText.ts"

/** The registry is read within that. */
const findMillis = 1000

/** A worker that does not answer is told as such within 5 s, or when its machine refuses the connection. */
const mostMillis = 6000

const answered = Effect.gen(function*() {
  const { list } = yield* ClusterWorkers
  const until = (yield* Clock.currentTimeMillis) + mostMillis
  yield* Effect.sleep(findMillis)
  let found = yield* list
  while (found.some(({ _tag }) => _tag === "Connecting") && (yield* Clock.currentTimeMillis) < until) {
    yield* Effect.sleep(100)
    found = yield* list
  }
  return found
})

/** What is said of workers. */
export const ofWorkers = (workers: ReadonlyArray<WorkerStatus>): ReadonlyArray<Check> =>
  workers.length === 0
    ? [lacking("workers", "none is registered: start `fanout jobs work --cluster HOST`")]
    : workers.map((worker) => {
      const isWell = worker._tag === "Connected" && worker.refuses.length === 0
      return (isWell ? ok : lacking)("worker", `${worker.address}: ${workerText.reached(worker)}`)
    })

/** What is found of the workers of a cluster. */
export const examination = (
  database: Database,
  security: Membership["security"]
): Effect.Effect<ReadonlyArray<Check>, Stop.Stop> =>
  Effect.gen(function*() {
    const { layerLook } = yield* Effect.promise(() => import("../ClusterMember.ts"))
    return ofWorkers(yield* Effect.provide(answered, layerLook(database, security)))
  }).pipe(Effect.mapError(Stop.fromStore(database.shown)))
