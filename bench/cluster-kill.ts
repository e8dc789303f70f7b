// Ten million elements on four workers, with all jobs in Postgres on this machine. Every 20 seconds a worker is killed
// and started again, and twice the owner, whose job another one takes over. For a million elements and a kill every 5
// seconds: `npm run bench -- cluster-kill 1000000 5`.
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Effect from "effect/Effect"
import * as os from "node:os"
import * as path from "node:path"
import { surviveKills } from "../packages/core/test/clusterKills.ts"
import { clientOf, createWalked } from "../packages/core/test/clusterTasks.ts"
import { PostgresServer } from "../packages/core/test/postgresServer.ts"
import { median } from "./measure.ts"

const [count = 10_000_000, everySeconds = 20] = process.argv.slice(2).map(Number)

const run = Effect.gen(function*() {
  const server = yield* PostgresServer.scoped
  const registry = yield* server.schema
  yield* Effect.provide(createWalked, clientOf(registry), { local: true })
  const notes = path.join(server.folder, "notes")
  const load = os.loadavg()
  const everyMillis = 1000 * everySeconds
  const ends = yield* surviveKills({ registry, notes, count, workers: 4, concurrency: 512, everyMillis })

  const { again, done, failed, inHand, lost, neverRun, redone, twice } = ends
  console.log(`load before: ${load.map((load) => load.toFixed(1)).join(", ")}`)
  console.log(`${done} of ${count} elements done, ${failed} failed, ${neverRun} never run`)
  console.log(`${lost} not recorded, ${twice} recorded twice, ${again} run again after they were recorded`)
  console.log(`${redone} run again, of ${inHand} in hand when ${ends.kills} workers and 2 owners were killed`)
  console.log(`${Math.round(ends.seconds)} s, ${Math.round(count / ends.seconds)} elements a second`)
  console.log(`${(ends.walBytes / count).toFixed(1)} bytes of WAL an element`)
  for (const sizes of ends.residentMiB) {
    const quarter = Math.ceil(sizes.length / 4)
    const [early, late] = [sizes.slice(quarter, 2 * quarter), sizes.slice(-quarter)].map(median)
    const most = Math.max(...sizes)
    console.log(
      `owner: ${early?.toFixed()} MiB in its 2nd quarter, ${late?.toFixed()} in its last, ${most.toFixed()} at most`
    )
  }
  if (done !== count || failed + neverRun + lost + twice + again > 0 || redone > inHand) {
    console.error(ends.output)
    process.exitCode = 1
  }
})

NodeRuntime.runMain(Effect.scoped(run))
