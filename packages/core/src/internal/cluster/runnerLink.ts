/**
 * The link over the sockets of Effect's cluster: the registry of runners tells which workers there are, and the server
 * of a runner takes owners beside the messages of the cluster itself.
 *
 * A connection is one call of `Open`, whose stream has the messages of the worker. Those of the owner are calls of
 * `Tell`. Entities stay unused: a task is for one worker, and not for whoever has a shard. A volatile message of an
 * entity whose runner has died is sent again elsewhere, and nobody learns that it may have run.
 */
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import * as Runners from "effect/cluster/Runners"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ClusterLink, Disconnected, type Wire } from "./wire.ts"
import { ClusterHost } from "./workerLayer.ts"

/** Messages that wait at the receiver, in each direction. */
const mostWaiting = 16

/** There is no such connection, or not any more. */
class NotOpen extends Schema.TaggedError<NotOpen>("@fanout/core/internal/NotOpen")("NotOpen", {}) {}

const Open = Rpc.make("fanout/Open", {
  payload: { connection: Schema.String },
  success: Schema.String,
  stream: true
})

const Tell = Rpc.make("fanout/Tell", {
  payload: { connection: Schema.String, message: Schema.String },
  error: NotOpen
})

/** The calls of owners. */
export class OwnerCalls extends RpcGroup.make(Open, Tell) {}

/** The first message of a worker: from now on it listens. */
const opened = ""

/** Handlers of the calls, by the worker of this process. */
export const layerCalls = OwnerCalls.toLayer(Effect.gen(function*() {
  const host = yield* ClusterHost
  const inboxes = new Map<string, Queue.Queue<string>>()
  const open = Effect.fnUntraced(function*(connection: string) {
    const inbox = yield* Queue.bounded<string>(mostWaiting)
    const outbox = yield* Queue.bounded<string>(mostWaiting)
    const close = Effect.andThen(Effect.sync(() => inboxes.delete(connection)), Queue.shutdown(inbox))
    yield* Effect.acquireRelease(Effect.sync(() => inboxes.set(connection, inbox)), () => close)
    yield* Queue.offer(outbox, opened)
    const wire: Wire = {
      receive: Queue.take(inbox),
      send: (message) => Effect.asVoid(Queue.offer(outbox, message))
    }
    const served = Effect.catch(host.serve(wire), (error) => Effect.logWarning(error.why))
    yield* Effect.forkScoped(Effect.ensuring(served, Queue.shutdown(outbox)))
    return Stream.fromQueue(outbox)
  })
  return {
    "fanout/Open": ({ connection }) => Stream.unwrap(open(connection)),
    "fanout/Tell": ({ connection, message }) =>
      Effect.suspend(() => {
        const inbox = inboxes.get(connection)
        return inbox === undefined ? Effect.fail(new NotOpen()) : Effect.asVoid(Queue.offer(inbox, message))
      })
  }
}))

const unreachable = (error: unknown) =>
  new Disconnected({ why: error instanceof Error ? error.message : String(error) })

/** Finds workers by the registry of runners. */
export const layer: Layer.Layer<ClusterLink, never, RunnerStorage.RunnerStorage | Runners.RpcClientProtocol> = Layer
  .effect(
    ClusterLink,
    Effect.gen(function*() {
      const storage = yield* RunnerStorage.RunnerStorage
      const { make } = yield* Runners.RpcClientProtocol
      const addresses = new Map<string, RunnerAddress>()
      const connect = Effect.fnUntraced(function*(address: RunnerAddress) {
        const protocol = yield* make(address)
        const client = yield* Effect.provideService(
          RpcClient.make(OwnerCalls, { disableTracing: true }),
          RpcClient.Protocol,
          protocol
        )
        const connection = globalThis.crypto.randomUUID()
        const inbox = yield* client["fanout/Open"]({ connection }, { asQueue: true, streamBufferSize: mostWaiting })
        yield* Queue.take(inbox)
        return {
          receive: Effect.mapError(Queue.take(inbox), unreachable),
          send: (message: string) => Effect.mapError(client["fanout/Tell"]({ connection, message }), unreachable)
        }
      })
      return {
        workers: storage.getRunners.pipe(
          Effect.map((runners) => {
            addresses.clear()
            for (const [{ address }, isHealthy] of runners) {
              if (isHealthy) addresses.set(`${address.host}:${address.port}`, address)
            }
            return Array.from(addresses.keys())
          }),
          Effect.mapError(unreachable)
        ),
        connect: (name) => {
          const address = addresses.get(name)
          if (address === undefined) return Effect.fail(new Disconnected({ why: "it is not registered" }))
          return Effect.mapError(connect(address), unreachable)
        }
      }
    })
  )
