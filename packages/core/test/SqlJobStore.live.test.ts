import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Node from "@fanout/core/node"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as SqlClient from "effect/sql/SqlClient"
import * as TestClock from "effect/testing/TestClock"
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { once } from "node:events"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { startStopwatch } from "../../../test/stopwatch.ts"
import * as OwnClient from "../src/internal/node/sqliteClient.ts"
import { supported } from "../src/internal/sql/migrations.ts"
import { flush, job, owned, row } from "./JobStoreRecords.ts"

const id = (text: string) => JobId.make(text)

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-"))),
  (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
)

const openStore = (filename: string) =>
  Effect.map(
    Layer.build(Layer.fresh(Node.layerSqlite({ filename }))),
    (context) => Context.get(context, JobStore.JobStore)
  )

/** A connection of the application's, with a table of its own. */
const openClient = Effect.fnUntraced(function*(filename: string, options?: Partial<SqliteClient.SqliteClientConfig>) {
  const context = yield* Layer.build(Layer.fresh(SqliteClient.layer({ filename, ...options })))
  const sql = Context.get(context, SqlClient.SqlClient)
  yield* sql`create table if not exists notes (some_text text not null)`
  return sql
})

const notes = (sql: SqlClient.SqlClient) =>
  Effect.map(sql`select some_text from notes order by 1`, (rows) => rows.map((row) => Object.values(row)[0]))

const reasonOf = <A, R>(effect: Effect.Effect<A, JobStoreError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

const problemOf = <A, R>(effect: Effect.Effect<A, JobStoreError, R>) =>
  Effect.map(reasonOf(effect), (reason) => reason._tag === "StorageFailure" ? reason.problem : reason._tag)

const exists = (store: JobStore.JobStore["Service"], of: string) =>
  Effect.map(Effect.option(store.get(id(of))), Option.isSome)

/** A store, and an application's client of the same database. */
const shared = Effect.fnUntraced(function*(options?: Partial<SqliteClient.SqliteClientConfig>) {
  const filename = path.join(yield* temporaryFolder, "shared.db")
  const store = yield* openStore(filename)
  return { filename, store, sql: yield* openClient(filename, options) }
})

const running = (store: JobStore.JobStore["Service"], text: string) =>
  Effect.flatMap(store.insert(job(text)), (record) => store.put(record.with(owned(1)), "claimed"))

describe("SqlJobStore", () => {
  describe("in the caller's transaction on the same database", () => {
    it.effect("stores a job when that commits, and not before", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()

        const stored = yield* sql.withTransaction(Effect.gen(function*() {
          const stored = yield* store.insert(job("a"))
          yield* sql`insert into notes values ('with a')`
          assert.isFalse(yield* exists(store, "a"))
          return stored
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql))

        assert.deepStrictEqual(yield* store.get(id("a")), stored)
        assert.deepStrictEqual(yield* notes(sql), ["with a"])
      }))

    it.effect("stores nothing when that is rolled back", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()

        const exit = yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`insert into notes values ('with a')`
          yield* store.insert(job("a"))
          yield* Effect.fail("no")
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql), Effect.exit)

        assert.deepStrictEqual(exit, Exit.fail("no"))
        assert.isFalse(yield* exists(store, "a"))
        assert.deepStrictEqual(yield* notes(sql), [])
      }))

    it.effect("undoes a job alone with the savepoint that it was stored in", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()

        yield* sql.withTransaction(Effect.gen(function*() {
          yield* store.insert(job("outer"))
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(store.insert(job("inner")), Effect.fail("no"))))
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql))

        assert.isTrue(yield* exists(store, "outer"))
        assert.isFalse(yield* exists(store, "inner"))
      }))

    it.effect("finds active jobs with its key, stored before or in the same transaction", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const before = yield* store.insert(job("before", { exclusiveKey: Option.some("old") }))

        const found = yield* sql.withTransaction(Effect.gen(function*() {
          yield* store.insert(job("during", { idempotencyKey: Option.some("new") }))
          return {
            before: yield* store.insert(job("x", { exclusiveKey: Option.some("old") })),
            during: yield* store.insert(job("y", { idempotencyKey: Option.some("new") }))
          }
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql))

        assert.deepStrictEqual(found.before, before)
        assert.strictEqual(found.during.id, id("during"))
        assert.isFalse(yield* exists(store, "x"))
        assert.isFalse(yield* exists(store, "y"))
      }))

    it.effect("leaves that usable when a job is refused", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        yield* store.insert(job("a"))

        const reason = yield* sql.withTransaction(Effect.gen(function*() {
          const reason = yield* reasonOf(store.insert(job("a")))
          yield* sql`insert into notes values ('still here')`
          yield* store.insert(job("b"))
          return reason
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql))

        assert.strictEqual(reason._tag, "JobConflict")
        assert.isTrue(yield* exists(store, "b"))
        assert.deepStrictEqual(yield* notes(sql), ["still here"])
      }))

    it.effect("stores no part of a job that can't be stored whole, and leaves the rest of that", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        yield* sql`create trigger no_payload before insert on fanout_payloads begin select raise(abort, 'no'); end`

        const problem = yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`insert into notes values ('kept')`
          return yield* problemOf(store.insert(job("a")))
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql))

        assert.strictEqual(problem, "Other")
        assert.deepStrictEqual(yield* notes(sql), ["kept"])
        assert.deepEqual(yield* sql`select count(*) as jobs from fanout_jobs`, [{ jobs: 0 }])
      }))

    it.effect("tells of a full disk, which undoes all of that", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        yield* sql`pragma max_page_count = 40`
        let problem: unknown

        const exit = yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`insert into notes values ('lost')`
          problem = yield* problemOf(store.insert(job("a", { payload: "x".repeat(1_000_000) })))
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql), Effect.exit)

        assert.strictEqual(problem, "Full")
        assert.isTrue(Exit.isFailure(exit))
        assert.deepStrictEqual(yield* notes(sql), [])
        assert.isFalse(yield* exists(store, "a"))
        assert.strictEqual((yield* store.insert(job("b"))).revision, 1)
      }))

    it.effect("does so whatever names, numbers and beginnings the caller's client has", () =>
      Effect.gen(function*() {
        const upper = (text: string) => text.toUpperCase()
        const { sql, store } = yield* shared({ transformResultNames: upper, transformQueryNames: upper })

        const twin = yield* sql.withTransaction(Effect.gen(function*() {
          yield* store.insert(job("a", { idempotencyKey: Option.some("key") }))
          return yield* store.insert(job("b", { idempotencyKey: Option.some("key") }))
        })).pipe(
          Effect.provideService(SqlClient.SqlClient, sql),
          Effect.provideService(SqlClient.SafeIntegers, true),
          Effect.provideService(SqlClient.BeginTransaction, "BEGIN EXCLUSIVE")
        )

        assert.strictEqual(twin.id, id("a"))
        assert.deepStrictEqual(yield* store.get(id("a")), twin)
      }))

    it.effect("fails at once where that has read what is not the newest any more", () =>
      Effect.gen(function*() {
        const { filename, sql, store } = yield* shared()
        const elsewhere = yield* openClient(filename)

        const problem = yield* sql.withTransaction(Effect.gen(function*() {
          yield* notes(sql)
          // Out of the transaction, as another process would.
          yield* elsewhere`insert into notes values ('other')`
          return yield* problemOf(store.insert(job("a")))
        })).pipe(Effect.provideService(SqlClient.SqlClient, sql))

        assert.strictEqual(problem, "Busy")
        assert.deepStrictEqual(yield* notes(sql), ["other"])
        assert.isFalse(yield* exists(store, "a"))
      }))
  })

  describe("outside of such a transaction", () => {
    it.effect("refuses jobs in the caller's on another database, or of a client that it is not given", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const folder = yield* temporaryFolder
        const plain = yield* openClient(path.join(folder, "plain.db"))
        yield* openStore(path.join(folder, "store.db"))
        const otherStore = yield* openClient(path.join(folder, "store.db"))

        const inserted = { insert: store.insert(job("a")), insertAll: store.insertAll([job("a"), job("b")]) }
        for (const insert of [inserted.insert, Effect.asVoid(inserted.insertAll)]) {
          for (const client of [plain, otherStore]) {
            const given = client.withTransaction(reasonOf(insert)).pipe(
              Effect.provideService(SqlClient.SqlClient, client)
            )
            const within = sql.withTransaction(given).pipe(Effect.provideService(SqlClient.SqlClient, sql))
            for (const start of [given, within, client.withTransaction(reasonOf(insert))]) {
              const reason = yield* start
              assert.strictEqual(reason._tag, "OtherTransaction")
              assert.match(reason.message, /after the transaction, or provide the SqlClient/)
            }
          }
          assert.strictEqual((yield* sql.withTransaction(reasonOf(insert)))._tag, "OtherTransaction")
        }
        assert.isFalse(yield* exists(store, "a"))
      }))

    it.effect("tells whoever asks for a job that the transaction has started to ask after the commit", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const asked = yield* sql.withTransaction(Effect.andThen(
          store.insert(job("a")),
          Effect.all([reasonOf(store.get(JobId.make("a"))), reasonOf(store.pulse(JobId.make("a")))])
        )).pipe(Effect.provideService(SqlClient.SqlClient, sql))

        for (const reason of asked) {
          assert.deepInclude(reason, { _tag: "JobNotFound", inTransaction: true })
          assert.match(reason.message, /ask after the commit/)
        }
        assert.isTrue(yield* exists(store, "a"))
        const other = yield* reasonOf(store.get(JobId.make("b")))
        assert.strictEqual(other.message, "No job has the id \"b\"")
      }))

    it.live("refuses a child in any of the caller's at once, also in one on the store's database", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const parent = yield* running(store, "a")
        const child = job("b", { parent: Option.some({ id: parent.id, name: "b", attempt: 1, tries: 0 }) })
        const elapsed = startStopwatch()
        const reason = yield* sql.withTransaction(Effect.andThen(
          sql`insert into notes values ('locked')`,
          Effect.timeout(reasonOf(store.insertChild(child, 1)), "1 minute")
        )).pipe(Effect.provideService(SqlClient.SqlClient, sql))
        assert.isBelow(elapsed(), 5000)

        assert.strictEqual(reason._tag, "OtherTransaction")
        assert.strictEqual((yield* store.insertChild(child, 1)).id, child.id)
      }))

    it.effect("stores a job by itself when a client is there and has no transaction open", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()

        yield* store.insert(job("a")).pipe(Effect.provideService(SqlClient.SqlClient, sql))

        assert.isTrue(yield* exists(store, "a"))
      }))
  })

  describe("onCommit", () => {
    const writes = Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      yield* sql`insert into notes values ('outer')`
      yield* Effect.ignore(
        sql.withTransaction(Effect.andThen(sql`insert into notes values ('undone')`, Effect.fail(0)))
      )
      yield* sql.withTransaction(sql`insert into notes values ('nested')`)
      return sql
    })

    it.effect("writes with the flush through a client of the same database", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")

        yield* store.flush(record.id, flush(1, { rows: [row("1")] }), Effect.asVoid(writes)).pipe(
          Effect.provideService(SqlClient.SqlClient, sql)
        )

        assert.deepStrictEqual(yield* notes(sql), ["nested", "outer"])
        assert.strictEqual(yield* store.failures(record.id), 1)
      }))

    it.effect("writes nothing when it fails", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")

        const exit = yield* store.flush(
          record.id,
          flush(1, { rows: [row("1")] }),
          Effect.andThen(writes, Effect.fail("no"))
        ).pipe(Effect.provideService(SqlClient.SqlClient, sql), Effect.exit)

        assert.deepStrictEqual(exit, Exit.fail("no"))
        assert.deepStrictEqual(yield* notes(sql), [])
        assert.strictEqual(yield* store.failures(record.id), 0)
        assert.deepStrictEqual(yield* store.checkpoint(record.id, "files"), Option.none())
      }))

    it.effect("writes with the flush through a client that something else holds on to", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared({ transformResultNames: (name) => name.toUpperCase() })
        const record = yield* running(store, "a")
        const repository = {
          add: sql`insert into notes values ('held')`,
          first: Effect.map(sql`select some_text from notes`, ([row]) => row)
        }
        let seen: unknown

        const exit = yield* store.flush(
          record.id,
          flush(1),
          Effect.gen(function*() {
            yield* repository.add
            seen = yield* repository.first
            yield* Effect.fail("no")
          })
        ).pipe(Effect.provideService(SqlClient.SqlClient, sql), Effect.exit)

        assert.deepStrictEqual(exit, Exit.fail("no"))
        assert.deepEqual(seen, { SOME_TEXT: "held" })
        assert.deepStrictEqual(yield* notes(sql), [])
      }))

    it.effect("leaves a client of another database alone, and says so once", () =>
      Effect.gen(function*() {
        const logged: Array<unknown> = []
        const logger = Logger.make<unknown, void>(({ message }) => void logged.push(message))
        const { sql, store } = yield* shared()
        const other = yield* openClient(path.join(yield* temporaryFolder, "other.db"))
        const record = yield* running(store, "a")

        const flushes = Effect.andThen(
          store.flush(record.id, flush(1), Effect.asVoid(writes)),
          store.flush(record.id, flush(1), Effect.void)
        )
        const noted = Effect.provide(flushes, Logger.layer([logger]))
        yield* Effect.provideService(noted, SqlClient.SqlClient, sql)
        assert.deepStrictEqual(logged, [])
        yield* Effect.provideService(noted, SqlClient.SqlClient, other)

        assert.deepStrictEqual(yield* notes(other), ["nested", "outer"])
        assert.lengthOf(logged, 1)
        assert.match(String(logged), /another database than the job store/)
      }))

    it.effect("has the caller's settings, and the flush the store's own", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")
        let seen: unknown

        yield* store.flush(
          record.id,
          flush(1, { rows: [row("1")] }),
          Effect.gen(function*() {
            const sql = yield* SqlClient.SqlClient
            seen = yield* sql`select 1 as one`
          })
        ).pipe(
          Effect.provideService(SqlClient.SqlClient, sql),
          Effect.provideService(SqlClient.SafeIntegers, true),
          Effect.provideService(SqlClient.BeginTransaction, "no statement")
        )

        assert.deepEqual(seen, [{ one: 1n }])
        assert.strictEqual(yield* store.failures(record.id), 1)
      }))

    it.effect("gives back an error of the database as the caller's own", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")
        let runs = 0

        const error = yield* Effect.flip(store.flush(
          record.id,
          flush(1, { rows: [row("1")] }),
          Effect.suspend(() => {
            runs++
            return Effect.asVoid(sql`insert into nowhere values (1)`)
          })
        ))

        assert.strictEqual(error._tag, "SqlError")
        assert.strictEqual(runs, 1)
        assert.strictEqual(yield* store.failures(record.id), 0)
      }))
  })

  describe("opening", () => {
    const hash = (file: string) => createHash("sha256").update(fs.readFileSync(file)).digest("hex")

    it.effect("finds again what was stored", () =>
      Effect.gen(function*() {
        const filename = path.join(yield* temporaryFolder, "jobs.db")
        const stored = yield* Effect.scoped(Effect.flatMap(openStore(filename), (store) => store.insert(job("a"))))

        const store = yield* openStore(filename)

        assert.deepStrictEqual(yield* store.get(id("a")), stored)
      }))

    it.effect("makes one store of a database that many open at once", () =>
      Effect.gen(function*() {
        const filename = path.join(yield* temporaryFolder, "jobs.db")

        const stores = yield* Effect.forEach([1, 2, 3, 4], () => openStore(filename), { concurrency: "unbounded" })

        yield* Effect.forEach(stores, (store, index) => store.insert(job(`${index}`)))
        for (const store of stores) assert.strictEqual((yield* store.list({ limit: 10 })).length, 4)
      }))

    it.effect("refuses a database of a newer version, and leaves it as it is", () =>
      Effect.gen(function*() {
        const filename = path.join(yield* temporaryFolder, "jobs.db")
        yield* Effect.scoped(openStore(filename))
        const database = new DatabaseSync(filename)
        database.exec(`insert into fanout_migrations (migration_id, name) values (${supported + 1}, 'later')`)
        database.close()
        const before = hash(filename)

        const reason = yield* reasonOf(Effect.scoped(openStore(filename)))

        assert.deepInclude(reason, { _tag: "StoreTooNew", found: supported + 1, supported })
        assert.strictEqual(hash(filename), before)
      }))

    it.effect("makes its tables beside the application's, all or none", () =>
      Effect.gen(function*() {
        const filename = path.join(yield* temporaryFolder, "jobs.db")
        yield* Effect.scoped(openClient(filename))
        const database = new DatabaseSync(filename)
        database.exec("create table fanout_logs (mine text)")

        assert.strictEqual(yield* problemOf(Effect.scoped(openStore(filename))), "Other")
        const tables = "select group_concat(name, ' ') as names from sqlite_master where type = 'table'"
        assert.notInclude(String(database.prepare(tables).get()?.["names"]), "fanout_jobs")

        database.exec("drop table fanout_logs")
        database.close()
        const store = yield* openStore(filename)
        assert.strictEqual((yield* store.insert(job("a"))).revision, 1)
      }))
  })

  describe("trouble", () => {
    it.effect("with a lock is waited out, without blocking", () =>
      Effect.gen(function*() {
        const { filename, store } = yield* shared()
        const record = yield* running(store, "a")
        const other = new DatabaseSync(filename)
        other.exec("begin immediate")
        const beating = yield* Effect.forkChild(store.beat(record.id, 1))
        const inserting = yield* Effect.forkChild(store.insert(job("b")))
        const flushing = yield* Effect.forkChild(store.flush(record.id, flush(1, { rows: [row("1")] })))
        yield* TestClock.adjust("10 seconds")
        assert.deepStrictEqual([beating, inserting, flushing].map((fiber) => fiber.pollUnsafe()), [
          undefined,
          undefined,
          undefined
        ])
        assert.isTrue(yield* exists(store, "a"))

        other.exec("commit")
        yield* TestClock.adjust("1 second")

        yield* Fiber.join(beating)
        yield* Fiber.join(inserting)
        yield* Fiber.join(flushing)
        assert.strictEqual((yield* store.pulse(record.id)).beat, 1)
        assert.strictEqual(yield* store.failures(record.id), 1)
        other.close()
      }))

    it.effect("with a lock is reported after half a minute", () =>
      Effect.gen(function*() {
        const { filename, store } = yield* shared()
        const record = yield* running(store, "a")
        const other = new DatabaseSync(filename)
        other.exec("begin immediate")
        let commits = 0
        const problems = yield* Effect.forkChild(Effect.all([
          problemOf(store.beat(record.id, 1)),
          problemOf(store.insert(job("b"))),
          problemOf(store.put(record, "x")),
          problemOf(store.flush(record.id, flush(1), Effect.sync(() => commits++))),
          problemOf(store.prune(1e9))
        ], { concurrency: "unbounded" }))

        yield* TestClock.adjust("29 seconds")
        assert.isUndefined(problems.pollUnsafe())
        yield* TestClock.adjust("3 seconds")

        assert.deepStrictEqual(yield* Fiber.join(problems), ["Busy", "Busy", "Busy", "Busy", "Busy"])
        assert.strictEqual(commits, 0)
        other.close()
      }))

    const drivers = {
      "its own driver": (filename: string) =>
        Layer.provide(
          Layer.effect(
            SqlClient.SqlClient,
            OwnClient.make({ filename, busyTimeoutMillis: 10, synchronous: "NORMAL" })
          ),
          Reactivity.layer
        ),
      "another driver": (filename: string) => SqliteClient.layer({ filename })
    }
    for (const [driver, layer] of Object.entries(drivers)) {
      it.effect(`with a full disk undoes what was begun, and goes on when there is space (${driver})`, () =>
        Effect.gen(function*() {
          const filename = path.join(yield* temporaryFolder, "jobs.db")
          const context = yield* Layer.build(Layer.provideMerge(SqlJobStore.layer, layer(filename)))
          const store = Context.get(context, JobStore.JobStore)
          const sql = Context.get(context, SqlClient.SqlClient)
          const record = yield* running(store, "a")
          yield* store.flush(record.id, flush(1))
          const large = Array.from({ length: 2_000 }, (_, index) => row(`${index}`))

          yield* sql`pragma max_page_count = 60`
          const reason = yield* reasonOf(store.flush(record.id, flush(1, { rows: large, checkpoint: "late" })))

          assert.deepInclude(reason, { _tag: "StorageFailure", problem: "Full", operation: "record progress" })
          assert.strictEqual(yield* store.failures(record.id), 0)
          assert.deepStrictEqual(yield* store.checkpoint(record.id, "files"), Option.some("{}"))
          yield* sql`pragma max_page_count = 100000`
          yield* store.flush(record.id, flush(1, { rows: large }))
          assert.strictEqual(yield* store.failures(record.id), 2_000)
        }))
    }

    it.effect("with a database that can't be written is told", () =>
      Effect.gen(function*() {
        const { filename, store } = yield* shared()
        const record = yield* running(store, "a")
        const client = SqliteClient.layer({ filename, readonly: true, disableWAL: true })

        const context = yield* Layer.build(Layer.provide(SqlJobStore.layer, client))

        const readOnly = Context.get(context, JobStore.JobStore)
        assert.deepStrictEqual(yield* readOnly.get(record.id), record)
        assert.strictEqual(yield* problemOf(readOnly.beat(record.id, 1)), "ReadOnly")
        assert.strictEqual(yield* problemOf(readOnly.insert(job("b"))), "ReadOnly")
      }))

    it.effect("with a damaged database is told", () =>
      Effect.gen(function*() {
        const filename = path.join(yield* temporaryFolder, "jobs.db")
        yield* Effect.scoped(Effect.gen(function*() {
          const store = yield* openStore(filename)
          const record = yield* running(store, "a")
          yield* store.flush(record.id, flush(1, { rows: Array.from({ length: 500 }, (_, index) => row(`${index}`)) }))
        }))
        const bytes = fs.readFileSync(filename)
        fs.writeFileSync(filename, bytes.fill(0x5a, 4096 * 3))

        const problem = yield* problemOf(Effect.scoped(Effect.gen(function*() {
          const store = yield* openStore(filename)
          yield* store.get(id("a"))
          yield* store.outcomes(id("a"), { after: 0, limit: 1000 })
        })))

        assert.strictEqual(problem, "Corrupt")
      }))

    it.effect("with rows that nobody here has written is told", () =>
      Effect.gen(function*() {
        const { filename, sql, store } = yield* shared()
        const record = yield* running(store, "a")
        yield* store.flush(record.id, flush(1, { rows: [row("1")] }))

        yield* sql`update fanout_outcomes set outcome = '{"_tag":"Strange"}'`
        yield* sql`update fanout_payloads set payload = 'no json'`

        assert.strictEqual(yield* problemOf(store.outcomes(record.id, { after: 0, limit: 1 })), "Corrupt")
        assert.strictEqual(yield* problemOf(store.get(record.id)), "Corrupt")
        assert.deepStrictEqual(yield* store.list({ limit: 1 }), [])
        assert.deepStrictEqual((yield* store.unreadable({ limit: 1 })).map(({ id }) => id), ["a"])
        yield* sql`delete from fanout_store`
        assert.strictEqual(yield* problemOf(Effect.scoped(openStore(filename))), "Corrupt")
      }))
  })

  it.effect("writes nothing of a flush that is interrupted while it waits", () =>
    Effect.gen(function*() {
      const { store } = yield* shared()
      const record = yield* running(store, "a")
      const inside = yield* Deferred.make<void>()
      const flushing = yield* Effect.forkChild(store.flush(
        record.id,
        flush(1, { rows: [row("1")] }),
        Effect.andThen(Deferred.succeed(inside, undefined), Effect.never)
      ))
      yield* Deferred.await(inside)

      yield* Fiber.interrupt(flushing)

      assert.strictEqual(yield* store.failures(record.id), 0)
      assert.deepStrictEqual((yield* store.requested(record.id, 1)).request, Option.none())
    }))

  it.effect("removes what an interrupted prune has left", () =>
    Effect.gen(function*() {
      const { filename, store } = yield* shared()
      const record = yield* running(store, "a")
      yield* store.flush(record.id, flush(1, { rows: [row("1")] }))
      yield* store.put(
        record.with({
          state: JobState.JobState.cases.Completed.make({ attempt: 1, tries: 0 }),
          finishedAt: Option.some(1)
        }),
        "done"
      )
      const database = new DatabaseSync(filename)
      database.exec("insert into fanout_own_checkpoints values ('a', 'own', '{}')")
      database.exec("insert into fanout_pruned values ('a'); delete from fanout_jobs; delete from fanout_payloads")

      assert.strictEqual(yield* store.prune(0), 0)

      for (
        const table of [
          "fanout_outcomes",
          "fanout_logs",
          "fanout_checkpoints",
          "fanout_own_checkpoints",
          "fanout_pruned"
        ]
      ) {
        assert.deepEqual(database.prepare(`select count(*) as n from ${table}`).get(), { n: 0 }, table)
      }
      database.close()
    }))

  it.live("stores each key once when two processes insert all of them at once", () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder
      const filename = path.join(folder, "jobs.db")
      const start = path.join(folder, "start")
      const child = path.join(import.meta.dirname, "JobStoreChild.ts")
      const inserting = ["one", "two"].map((name) => {
        const args = ["--conditions=@fanout/source", child, filename, name, start, "200"]
        return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
      })
      const output = inserting.map(() => "")
      const ready = inserting.map((process, index) =>
        new Promise<void>((resolve) => {
          process.stdout.setEncoding("utf8").on("data", (text: string) => {
            output[index] += text
            resolve()
          })
        })
      )
      const closed = inserting.map((process) => once(process, "close"))

      yield* Effect.promise(() => Promise.all(ready))
      fs.writeFileSync(start, "")
      yield* Effect.promise(() => Promise.all(closed))

      const [one = [], two = []] = output.map((text): ReadonlyArray<string> => JSON.parse(text.replace("ready\n", "")))
      assert.strictEqual(one.length, 200)
      assert.deepStrictEqual(one, two)
      const store = yield* openStore(filename)
      const jobs = yield* store.list({ limit: 1_000 })
      assert.sameMembers(jobs.map((record): string => record.id), Array.from(one))
    }))
})
