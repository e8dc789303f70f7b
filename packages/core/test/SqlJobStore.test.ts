import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schema from "effect/Schema"
import * as Migrator from "effect/sql/Migrator"
import { make as makeClient, SqlClient } from "effect/sql/SqlClient"
import {
  AuthenticationError,
  AuthorizationError,
  ConnectionError,
  ConstraintError,
  DeadlockError,
  LockTimeoutError,
  SerializationError,
  SqlError,
  StatementTimeoutError,
  UnknownError
} from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { again, SqlAccess } from "../src/internal/sql/access.ts"
import { loader, table as migrationsTable } from "../src/internal/sql/migrations.ts"
import { postgresProblem } from "../src/internal/sql/postgresDialect.ts"
import { sqliteProblem } from "../src/internal/sql/sqliteDialect.ts"
import { fromText, toText } from "../src/internal/store/rows.ts"
import { jobStoreContract } from "./JobStoreContract.ts"
import { Operations, run } from "./JobStoreModel.ts"
import { flush, job, owned, row } from "./JobStoreRecords.ts"

const inMemory = Layer.provide(SqlJobStore.layer, SqliteClient.layer({ filename: ":memory:" }))

jobStoreContract("SQLite in memory, another driver", inMemory)

describe("SqlJobStore", () => {
  it.effect.prop(
    "does what the store in memory does, whatever is asked of it",
    { operations: Operations },
    ({ operations }) =>
      Effect.gen(function*() {
        const expected = yield* run(operations).pipe(Effect.provide(MemoryJobStore.layer, { local: true }))

        const actual = yield* run(operations).pipe(Effect.provide(inMemory, { local: true }))

        assert.deepStrictEqual(actual, expected)
      }),
    { arbitrary: { runs: runs(100), size: 40 } }
  )

  it.effect("keeps what a caller came to who has rolled back the transaction himself", () =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      const record = yield* Effect.flatMap(store.insert(job("a")), (record) =>
        store.put(record.with(owned(1)), "claimed"))
      const rollback = Effect.flatMap(SqlClient, (sql) =>
        sql`rollback`)

      const exit = yield* Effect.exit(
        store.flush(record.id, flush(1, { rows: [row("1")] }), Effect.andThen(rollback, Effect.fail("no")))
      )

      assert.deepStrictEqual(exit, Exit.fail("no"))
      yield* store.flush(record.id, flush(1, { rows: [row("2")] }))
      assert.strictEqual(yield* store.failures(record.id), 1)
    }).pipe(Effect.provide(Layer.provideMerge(SqlJobStore.layer, SqliteClient.layer({ filename: ":memory:" })))))

  it.effect("decodes a job again only after its row has changed, by whatever means", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient
      const store = yield* Effect.provide(JobStore.JobStore, SqlJobStore.layer)
      const read = Effect.all([store.get(JobId.make("a")), store.listWithPulse({ limit: 9 })])
      yield* store.insertAll([job("a"), job("b", { payload: "x".repeat(20_000) })])
      const [record, [large, small]] = yield* read

      const [sameRecord, [otherLarge, sameSmall]] = yield* read
      assert.strictEqual(sameRecord, record)
      assert.strictEqual(sameSmall, small)
      // What takes much memory is not kept.
      assert.notStrictEqual(otherLarge, large)
      assert.deepStrictEqual(otherLarge, large)

      yield* store.put(record.with(owned(1)), "claimed")
      yield* store.beat(record.id, 1)
      const [changed, [, moved]] = yield* read
      assert.strictEqual(changed.state._tag, "Running")
      assert.strictEqual(moved?.beat, 1)
      yield* sql`update fanout_jobs set limits = '?' where id = 'a'`
      assert.lengthOf(yield* store.listWithPulse({ limit: 9 }), 1)
      assert.strictEqual((yield* Effect.flip(store.get(record.id))).reason._tag, "StorageFailure")
    }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" }))))

  it.effect("brings a database of the first schema up to date, with what is in it", () =>
    Effect.gen(function*() {
      const first = Effect.map(loader, (changes) => changes.slice(0, 1))
      yield* Migrator.make({})({ loader: first, table: migrationsTable })
      const sql = yield* SqlClient
      yield* sql`insert into fanout_payloads values ('old', 'null')`
      yield* sql`insert into fanout_jobs (id, name, version, priority, tag, state, token, owners_lost, created_at,
          updated_at, available_at, revision, progress)
        values ('old', 'copy', 1, 0, 'Queued', '{"_tag":"Queued","attempt":1,"tries":0}', 0, 0, 1, 1, 1, 1,
          '{"fanOuts":{},"totals":{},"units":{}}')`

      const checkpoints = {
        "checkpoint:own": { v: 1, value: 5 },
        "checkpoint:\udc80": { v: 1, value: null },
        "checkpoint:\\": { v: 1, value: "\udc80" },
        "checkpoint:fan-out": { v: 1, finished: false },
        "a checkpoint:x": { v: 1, finished: true },
        files: { v: 1, finished: false }
      }
      for (const [name, checkpoint] of Object.entries(checkpoints)) {
        const stored = { job_id: "old", name: toText(name), checkpoint: JSON.stringify(checkpoint) }
        yield* sql`insert into fanout_checkpoints ${sql.insert(stored)}`
      }

      const store = yield* Effect.provide(JobStore.JobStore, SqlJobStore.layer)

      assert.deepStrictEqual((yield* store.look(1)).kinds, [{ name: "copy", version: 1 }])
      const id = JobId.make("old")
      assert.deepInclude(yield* store.get(id), { limits: {}, parent: Option.none() })
      assert.deepStrictEqual(yield* store.schedules, [])
      for (const [name, checkpoint] of Object.entries(checkpoints)) {
        const own = name.replace(/^checkpoint:/, "")
        const found = yield* Effect.all([store.checkpoint(id, name), store.ownCheckpoint(id, own)])
        const text = Option.some(JSON.stringify(checkpoint))
        assert.deepStrictEqual(found, "value" in checkpoint ? [Option.none(), text] : [text, Option.none()], name)
      }
    }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" }))))

  /** A client that nothing may be asked of. */
  const never = Effect.die("asked")
  const untouchable = (dialect: Statement.Dialect) =>
    makeClient({
      acquirer: never,
      driver: "other",
      spanAttributes: [],
      compiler: Statement.makeCompiler({
        dialect,
        placeholder: (index) => `$${index}`,
        onIdentifier: (name) => name,
        onRecordUpdate: () => ["", []],
        onCustom: () => ["", []]
      })
    })

  it.effect("refuses a client of a database that it has no dialect for, as a mistake of the program", () =>
    Effect.gen(function*() {
      for (const dialect of ["mysql", "mssql", "clickhouse"] as const) {
        const client = yield* untouchable(dialect)

        const exit = yield* Effect.exit(Effect.provide(JobStore.JobStore, SqlJobStore.layer)).pipe(
          Effect.provideService(SqlClient, client)
        )

        assert.match(String(exit), /knows no dialect for this kind of database/, dialect)
      }
    }).pipe(Effect.provide(Reactivity.layer)))

  it.effect("asks nothing of a client of another kind of database", () =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      const unusable = {
        execute: () => never,
        executeRaw: () => never,
        executeStream: () => Stream.die("asked"),
        executeValues: () => never,
        executeValuesUnprepared: () => never,
        executeUnprepared: () => never
      }
      const other = yield* untouchable("pg")

      const stored = yield* store.insert(job("a")).pipe(
        Effect.provideService(SqlClient, other),
        Effect.provideService(other.transactionService, [unusable, 0])
      )

      assert.deepStrictEqual(yield* store.get(stored.id), stored)
    }).pipe(Effect.provide([inMemory, Reactivity.layer])))

  it.effect("gives no turns of a rate that somebody has taken or changed since it was read", () =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      yield* store.setRate("api", 10)
      /** Takes a turn, and has something else done once the rate was read. */
      const late = (other: Effect.Effect<unknown, JobStoreError>) => {
        const others = [Effect.orDie(other)]
        return Effect.provideService(store.takeTurns("api", 1), Statement.CurrentTransformer, (statement) => {
          const isWrite = statement.compile()[0].startsWith("update")
          return Effect.as((isWrite ? others.pop() : undefined) ?? Effect.void, statement)
        })
      }
      const given: Array<Option.Option<JobStore.Turns>> = []
      given.push(yield* late(Effect.map(store.takeTurns("api", 1), (turns) => given.push(turns))))
      given.push(yield* late(store.setRate("api", 0)))

      const turns = given.map(Option.getOrThrow).map(({ count, inMillis }) => [count, inMillis])
      assert.deepStrictEqual(turns, [[1, 0], [1, 100], [0, Infinity]])
    }).pipe(Effect.provide(inMemory)))

  it.effect("tries again what met something that is gone by now", () =>
    Effect.gen(function*() {
      const access = new SqlAccess(yield* SqlClient)
      let tries = 0
      const running = yield* Effect.forkChild(
        access.run("try", Effect.suspend(() => tries++ < 3 ? again("It was there") : Effect.succeed("done")))
      )

      yield* TestClock.adjust("100 millis")

      assert.strictEqual(yield* Fiber.join(running), "done")
    }).pipe(Effect.provide(SqliteClient.layer({ filename: ":memory:" }))))

  it("tells what is wrong by SQLite's codes, as numbers or names", () => {
    const problem = (cause: unknown) => sqliteProblem(new SqlError({ reason: new UnknownError({ cause }) }))
    const codes = {
      Busy: [5, 6, 261, 517, "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", "SQLITE_LOCKED"],
      ReadOnly: [8, 1544, "SQLITE_READONLY_DBMOVED"],
      Corrupt: [11, 26, 267, "SQLITE_NOTADB", "SQLITE_CORRUPT"],
      Full: [13, 4874, "SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"],
      Faulty: [10, 266, 778, "SQLITE_IOERR", "SQLITE_IOERR_WRITE"],
      Denied: [3, 23, "SQLITE_PERM"],
      Unreadable: [14, 526, "SQLITE_CANTOPEN_ISDIR"],
      Other: [1, "SQLITE_BUSYBODY", "ENOENT", undefined]
    }
    for (const [expected, some] of Object.entries(codes)) {
      for (const code of some) {
        assert.strictEqual(problem({ code }), expected, String(code))
        if (typeof code === "number") assert.strictEqual(problem({ code: "ERR_SQLITE_ERROR", errcode: code }), expected)
      }
    }
    assert.strictEqual(problem(undefined), "Other")
  })

  it("tells what is wrong by Postgres' codes, and by what drivers make of them", () => {
    const codes = {
      ReadOnly: ["25006"],
      Corrupt: ["XX001", "XX002"],
      Full: ["53100"],
      Faulty: ["58030"],
      Unreachable: ["53300", "57P01", "57P02", "57P03", "57P05", "25P03"],
      Missing: ["3D000"],
      Other: ["42P01", "25P02", "ENOENT", undefined]
    }
    for (const [expected, some] of Object.entries(codes)) {
      for (const code of some) {
        const error = new SqlError({ reason: new UnknownError({ cause: { code } }) })
        assert.strictEqual(postgresProblem(error), expected, String(code))
      }
    }
    const reasons = {
      Busy: [DeadlockError, LockTimeoutError, SerializationError, StatementTimeoutError],
      Unreachable: [ConnectionError],
      Denied: [AuthenticationError],
      Other: [AuthorizationError, ConstraintError]
    }
    for (const [expected, some] of Object.entries(reasons)) {
      for (const Reason of some) {
        const error = new SqlError({ reason: new Reason({ cause: undefined }) })
        assert.strictEqual(postgresProblem(error), expected, error.reason._tag)
      }
    }
  })

  it.prop("keeps any text as text that any database keeps", [Schema.String], ([text]) => {
    const kept = toText(text)
    assert.isTrue(kept.isWellFormed() && !kept.includes("\0"))
    assert.strictEqual(fromText(kept), text)
    assert.strictEqual(fromText(toText(kept)), kept)
  })
})
