/**
 * The registry of runners of Effect's cluster, which tells which workers there are. The cluster's shards and entities
 * stay unused: a task is for one worker, and not for whoever has a shard. A volatile message of an entity whose runner
 * has died is sent again elsewhere, and nobody learns that it may have run.
 */
import * as Runner from "effect/cluster/Runner"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Layer from "effect/Layer"
import type { Scope } from "effect/Scope"
import { brief, ClusterLink, Disconnected, type Wire } from "./wire.ts"

/** How often a worker tells that it is there. One that does not for 35 s is registered no more. */
const beatMillis = 5000
/** How long the registry may take. */
const answerMillis = 5000

/** Opens connections to workers. */
export type Connect = (to: { readonly host: string; readonly port: number }) => Effect.Effect<Wire, Disconnected, Scope>

/** Finds workers by the registry. `connect` is asked for once. */
export const layer = (connect: () => Connect): Layer.Layer<ClusterLink, never, RunnerStorage> =>
  Layer.effect(
    ClusterLink,
    Effect.gen(function*() {
      const { getRunners } = yield* RunnerStorage
      const open = yield* Effect.sync(connect)
      const addresses = new Map<string, RunnerAddress.RunnerAddress>()
      return {
        workers: Effect.map(getRunners, (runners) => {
          addresses.clear()
          for (const [{ address }] of runners) addresses.set(`${address.host}:${address.port}`, address)
          return Array.from(addresses.keys())
        }).pipe(Effect.mapError((error) => new Disconnected({ why: brief(error) }))),
        connect: (name) => {
          const address = addresses.get(name)
          return address === undefined ? Effect.fail(new Disconnected({ why: "it is not registered" })) : open(address)
        }
      }
    })
  )

/** Keeps a worker registered until the scope closes. */
export const register = Effect.fnUntraced(function*(host: string, port: number) {
  const { getRunners, refresh, register, unregister } = yield* RunnerStorage
  const address = RunnerAddress.make(host, port)
  const runner = Runner.make({ address, groups: [], weight: 1 })
  const beat = Effect.gen(function*() {
    const runners = yield* getRunners
    if (runners.some(([one]) => Equal.equals(one.address, address))) yield* refresh(address, [])
    else yield* register(runner, true)
  })
  yield* Effect.addFinalizer(() => Effect.ignore(Effect.timeout(unregister(address), answerMillis)))
  yield* beat.pipe(
    Effect.timeout(answerMillis),
    // Its connections go on meanwhile.
    Effect.catch((error) => Effect.logDebug("The registry of workers does not answer", error)),
    Effect.andThen(Effect.sleep(beatMillis)),
    Effect.forever,
    Effect.forkScoped
  )
})
