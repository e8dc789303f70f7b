/**
 * The link over the sockets of Effect's cluster: the registry of runners tells which workers there are, and the server
 * of a runner takes owners beside the messages of the cluster itself.
 *
 * A connection is one call of `Open`, whose stream has the messages of the worker. Those of the owner are calls of
 * `Tell`, each of which it makes when the one before has been answered. Entities stay unused: a task is for one worker,
 * and not for whoever has a shard. A volatile message of an entity whose runner has died is sent again elsewhere, and
 * nobody learns that it may have run.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import * as Runners from "effect/cluster/Runners"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { fewCharacters } from "./messages.ts"
import { brief, ClusterLink, Disconnected, type Wire } from "./wire.ts"
import { ClusterHost } from "./workerLayer.ts"

/** Messages that wait at the receiver, in each direction. */
const mostWaiting = 16
/** Owners that are connected to a worker at the same time. */
const mostConnections = 1000

/** There is no such connection, or not any more. */
class NotOpen extends Schema.TaggedError<NotOpen>("@fanout/core/internal/NotOpen")("NotOpen", { why: Schema.String }) {
  override get message(): string {
    return this.why
  }
}

const Open = Rpc.make("fanout/Open", {
  payload: { connection: Schema.String },
  success: Schema.String,
  error: NotOpen,
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

/** What an owner has told, and whether it is waiting for room there. */
interface Inbox {
  readonly messages: Queue.Queue<string>
  isTelling: boolean
}

/** Takes messages that go together, of which only the last one may be long: the other side reads them as one line. */
const takeSome = Effect.fnUntraced(function*(outbox: Queue.Dequeue<string, Cause.Done>) {
  const first = yield* Queue.take(outbox)
  const some: Arr.NonEmptyArray<string> = [first]
  for (let size = first.length; size < fewCharacters;) {
    const next = yield* Queue.poll(outbox)
    if (Option.isNone(next)) break
    some.push(next.value)
    size += next.value.length
  }
  return some
})

/** Handlers of the calls, by the worker of this process. */
export const layerCalls = OwnerCalls.toLayer(Effect.gen(function*() {
  const host = yield* ClusterHost
  const inboxes = new Map<string, Inbox>()
  const open = Effect.fnUntraced(function*(connection: string) {
    if (inboxes.has(connection)) return yield* new NotOpen({ why: "it has such a connection already" })
    if (inboxes.size >= mostConnections) return yield* new NotOpen({ why: `it has ${mostConnections} owners` })
    const inbox: Inbox = { messages: yield* Queue.bounded<string>(mostWaiting), isTelling: false }
    const outbox = yield* Queue.bounded<string, Cause.Done>(mostWaiting)
    const close = Effect.andThen(Effect.sync(() => inboxes.delete(connection)), Queue.shutdown(inbox.messages))
    yield* Effect.acquireRelease(Effect.sync(() => inboxes.set(connection, inbox)), () => close)
    yield* Queue.offer(outbox, opened)
    const wire: Wire = {
      receive: Queue.take(inbox.messages),
      send: (message) => Effect.asVoid(Queue.offer(outbox, message))
    }
    const served = Effect.catch(host.serve(wire), ({ why }) => Effect.logWarning(`An owner was refused: ${why}`))
    yield* Effect.forkScoped(Effect.ensuring(served, Queue.end(outbox)))
    return Stream.fromPull(Effect.succeed(takeSome(outbox)))
  })
  const tell = Effect.fnUntraced(function*(connection: string, message: string) {
    const inbox = inboxes.get(connection)
    // An owner that does not wait could fill the memory.
    if (inbox === undefined || inbox.isTelling) return yield* new NotOpen({ why: "it has no such connection" })
    inbox.isTelling = true
    yield* Queue.offer(inbox.messages, message)
    inbox.isTelling = false
  })
  return {
    "fanout/Open": ({ connection }) => Stream.unwrap(open(connection)),
    "fanout/Tell": ({ connection, message }) => tell(connection, message)
  }
}))

/** What an error of a connection comes from. */
const rootOf = (error: unknown): unknown => {
  if (typeof error !== "object" || error === null) return error
  if ("code" in error && String(error.code).startsWith("ERR_SSL")) {
    return "one side refuses the secret or the certificate of the other"
  }
  if (error instanceof AggregateError) return rootOf(error.errors[0])
  if ("reason" in error) return rootOf(error.reason)
  if ("cause" in error && error.cause instanceof Error) return rootOf(error.cause)
  const isOver = Cause.isDone(error) || ("_tag" in error && error._tag === "SocketCloseError")
  return isOver ? "the connection was closed" : error
}

/** A runner that is closed interrupts its calls, here too. */
const orDisconnected = <A, R>(effect: Effect.Effect<A, unknown, R>): Effect.Effect<A, Disconnected, R> =>
  Effect.catchCause(
    effect,
    (cause) =>
      Effect.fail(
        new Disconnected({ why: Cause.hasInterruptsOnly(cause) ? "it has closed" : brief(rootOf(Cause.squash(cause))) })
      )
  )

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
          receive: orDisconnected(Queue.take(inbox)),
          send: (message: string) => orDisconnected(client["fanout/Tell"]({ connection, message }))
        }
      })
      return {
        workers: orDisconnected(Effect.map(storage.getRunners, (runners) => {
          addresses.clear()
          for (const [{ address }, isHealthy] of runners) {
            if (isHealthy) addresses.set(`${address.host}:${address.port}`, address)
          }
          return Array.from(addresses.keys())
        })),
        connect: (name) => {
          const address = addresses.get(name)
          if (address === undefined) return Effect.fail(new Disconnected({ why: "it is not registered" }))
          return orDisconnected(connect(address))
        }
      }
    })
  )
