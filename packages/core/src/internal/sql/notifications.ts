/**
 * Tells the processes that use a store on Postgres of its changes, by `NOTIFY` and `LISTEN`.
 *
 * Commits of transactions that have notified wait for one another, each until the disk has written. So the store
 * notifies after its commits, in a transaction that writes nothing: many changes by one process are told as one, and a
 * process that is killed in between does not tell. Only in a transaction of the caller, whose end the store does not
 * see, a notification is part of the transaction.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { SqlClient } from "effect/sql/SqlClient"
import { isSqlError, type SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import type { JobStoreError } from "../../JobStoreError.ts"
import type { SqlAccess } from "./access.ts"
import { kind, mostConnections } from "./dialect.ts"
import { channelOf } from "./postgresDialect.ts"
import { storageFailure } from "./queries.ts"

/** Notifies of the changes of this process, at most once in 20 ms, until the scope closes. */
export const tellOfChanges = Effect.fnUntraced(function*(access: SqlAccess) {
  const untold = yield* Queue.sliding<void>(1)
  access.tell = () => void Queue.offerUnsafe(untold, undefined)
  const tell = Effect.ignore(access.run("tell of a change", access.notify)).pipe(
    Effect.onInterrupt(() => Effect.sync(access.tell))
  )
  // A process may end right after a change.
  const rest = Effect.flatMap(Queue.poll(untold), (last) => Option.isSome(last) ? tell : Effect.void)
  yield* Effect.addFinalizer(() => rest.pipe(Effect.interruptible, Effect.timeoutOption("1 second")))
  yield* Queue.take(untold).pipe(
    Effect.andThen(tell),
    Effect.andThen(Effect.sleep("20 millis")),
    Effect.forever,
    Effect.forkScoped
  )
})

/** What a client has that can listen, such as the `PgClient` of `@effect/sql-pg`. */
interface Listener {
  readonly listen: (channel: string) => Effect.Effect<Queue.Dequeue<unknown, SqlError>, SqlError, Scope.Scope>
}

const canListen = (client: object): client is Listener =>
  Predicate.hasProperty(client, "listen") && typeof client.listen === "function" &&
  // A listener holds a connection. Nothing could be done with the store if there is no other one.
  mostConnections(client) > 1

/** Time in which a notification of this process comes back. */
const echoTimeout = "1 second"

/** After this time without notifications, a listener proves that it still hears. */
const silence = "1 minute"

/** The changes of the store, see `JobStore.changes`. */
export const changesOf = (client: SqlClient, access: SqlAccess): Stream.Stream<void, JobStoreError> => {
  if (kind(client) !== "pg" || !canListen(client)) return Stream.empty
  const { dialect } = access
  const listening = Effect.gen(function*() {
    const heard = Queue.takeAll(yield* client.listen(channelOf(access.storeId)))
    const echo = Effect.timeoutOption(Effect.andThen(access.notify, heard), echoTimeout)
    // A pooler gave the session away, or the listener holds the only connection.
    if (Option.isNone(yield* echo)) return Stream.empty
    const proof = Effect.flatMap(echo, (echo) =>
      Option.isSome(echo)
        ? Effect.void
        : storageFailure("hear of changes", "Unreachable", new Error("A notification did not come back")))
    // A connection that was cut off somewhere on its way looks like a quiet one.
    const next = Effect.flatMap(
      Effect.timeoutOption(heard, silence),
      (heard) => Option.isSome(heard) ? Effect.void : proof
    )
    const { hearing } = access
    yield* Effect.acquireRelease(
      Effect.sync(() => hearing.listeners++),
      () => Effect.sync(() => hearing.listeners--)
    )
    return Stream.tap(
      Stream.concat(Stream.succeed(undefined), Stream.fromEffectRepeat(next)),
      () => Effect.sync(() => hearing.times++)
    )
  })
  return Stream.unwrap(listening).pipe(
    Stream.mapError((error) =>
      isSqlError(error) ? storageFailure("hear of changes", dialect.problem(error), error.reason.cause) : error
    )
  )
}
