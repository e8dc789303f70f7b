/**
 * Says, once for each store, that an `onCommit` writes outside of the store's transaction.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { SqlClient } from "effect/sql/SqlClient"

export class Apart {
  private isTold = false

  /** Warns if there is a client in the context. The caller knows that this client has another database. */
  readonly warn: Effect.Effect<void> = Effect.flatMap(Effect.serviceOption(SqlClient), (client) => {
    if (this.isTold || Option.isNone(client)) return Effect.void
    this.isTold = true
    return Effect.logWarning(
      "The SqlClient of onCommit, or of onDone, has another database than the job store. Its writes are not part of " +
        "the transaction that records the elements: a crash in between repeats them. Give both the same database"
    )
  })
}
