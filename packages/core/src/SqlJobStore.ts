/**
 * Keeps jobs in a SQL database, through a `SqlClient`.
 *
 * The store has a `SqlClient` of its own. Anybody else who used the same connection would wait for the store's
 * transactions, and the store would wait for theirs. `internal/sql/migrations.ts` describes the tables, and
 * `internal/sql/dialect.ts` the differences between databases.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import { isSqlError } from "effect/sql/SqlError"
import { again, SqlAccess } from "./internal/sql/access.ts"
import { makeItems, makeWrites } from "./internal/sql/belongings.ts"
import { makeClaimers } from "./internal/sql/claimers.ts"
import { makeConcurrencies } from "./internal/sql/concurrencies.ts"
import { makeChanges, makeLists, makeReads } from "./internal/sql/jobRows.ts"
import * as Migrations from "./internal/sql/migrations.ts"
import { changesOf, tellOfChanges } from "./internal/sql/notifications.ts"
import { failWith, storageFailure } from "./internal/sql/queries.ts"
import { astrayWith, dueWith, lookWith, toCancelWith } from "./internal/sql/queue.ts"
import { makeRates } from "./internal/sql/rates.ts"
import { makeSchedules } from "./internal/sql/schedules.ts"
import { pruneWith } from "./internal/sql/slices.ts"
import { JobStore } from "./JobStore.ts"
import * as Errors from "./JobStoreError.ts"

/**
 * Layer that keeps jobs in the database of a `SqlClient`, and first creates or updates the tables.
 *
 * **Details**
 *
 * The database is SQLite or Postgres. A client of another kind is a mistake of the program, and a defect. A database
 * that a newer version has written is left as it is, and refused with `StoreTooNew`. An operation that meets a lock or
 * loses the connection is tried again for half a minute, unless the operation may have been committed.
 *
 * On Postgres the store uses the tables that the client's `search_path` finds, and creates missing tables in the first
 * schema of the path. The store keeps nothing in a session, so the client may go through a pooler. It tells other
 * processes of changes by `NOTIFY`. A manager on a client that can `listen` holds one connection of the client to hear
 * of them. If the client has no other connection, or a pooler hands its sessions around, the manager polls instead.
 *
 * **Gotchas**
 *
 * Only the store may use the client. An application that uses the same database needs another client.
 *
 * A Postgres client decides how long a statement waits for a lock, or for a server that has vanished: give the client a
 * `lock_timeout`, and `keepAlive`.
 *
 * @category layers
 */
export const layer: Layer.Layer<JobStore, Errors.JobStoreError, SqlClient.SqlClient> = Layer.effect(
  JobStore,
  Effect.gen(function*() {
    const client = yield* SqlClient.SqlClient
    const access = new SqlAccess(client)
    yield* open(access)
    yield* tellOfChanges(access)
    return JobStore.of({
      ...makeReads(access),
      ...makeLists(access),
      ...makeChanges(access),
      ...makeSchedules(access),
      ...makeRates(access),
      ...makeConcurrencies(access),
      ...makeClaimers(access),
      ...makeWrites(access),
      ...makeItems(access),
      look: lookWith(access),
      due: dueWith(access),
      toCancel: toCancelWith(access),
      astray: astrayWith(access),
      prune: pruneWith(access),
      changes: changesOf(client, access)
    })
  })
)

const open = Effect.fnUntraced(function*(access: SqlAccess) {
  const { sql } = access
  const migrate = Migrator.make({})({ loader: Migrations.loader, table: Migrations.table }).pipe(
    Effect.provideService(SqlClient.SqlClient, sql),
    Effect.mapError((error) => {
      if (isSqlError(error)) return error
      return isSqlError(error.cause) ? error.cause : storageFailure("prepare its tables", "Other", error)
    })
  )
  const { supported } = Migrations
  const version = Effect.gen(function*() {
    if (!(yield* access.dialect.hasTable(Migrations.table))) return 0
    const [newest] = yield* sql`select max(migration_id) as version from ${sql(Migrations.table)}`
    return Number(newest?.["version"])
  })
  const idOfStore = Effect.gen(function*() {
    // A complete database is not locked, and can be opened by somebody who may only read.
    if ((yield* version) < supported) yield* migrate
    const found = yield* version
    if (found > supported) return yield* failWith(new Errors.StoreTooNew({ found, supported }))
    if (found < supported) return yield* again("Another process is changing the tables")
    const [store] = yield* sql`select id from fanout_store`
    return store?.["id"]
  })
  const id = yield* access.run("open", idOfStore)
  if (typeof id !== "string") return yield* storageFailure("open", "Corrupt", new Error("The store has no id"))
  access.storeId = id
})
