import type { PgPoolConfig } from "@effect/sql-pg/PgClient"
import * as PgClient from "@effect/sql-pg/PgClient"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { BeginTransaction, SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as fs from "node:fs"
import * as net from "node:net"
import * as path from "node:path"
import { runs } from "../../../test/effort.ts"
import { startStopwatch } from "../../../test/stopwatch.ts"
import { supported } from "../src/internal/sql/migrations.ts"
import { jobStoreContract } from "./JobStoreContract.ts"
import { Operations, run } from "./JobStoreModel.ts"
import { finished, flush, job, owned, row, schedule } from "./JobStoreRecords.ts"
import { programs } from "./postgresProcess.ts"
import { PostgresDatabase, PostgresServer } from "./postgresServer.ts"

type Store = JobStore.JobStore["Service"]

const id = (text: string) => JobId.make(text)

const reasonOf = <A, R>(effect: Effect.Effect<A, JobStoreError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

const problemOf = <A, R>(effect: Effect.Effect<A, JobStoreError, R>) =>
  Effect.map(reasonOf(effect), (reason) => reason._tag === "StorageFailure" ? reason.problem : reason._tag)

const exists = (store: Store, of: string) => Effect.map(Effect.option(store.get(id(of))), Option.isSome)

const running = (store: Store, text: string) =>
  Effect.flatMap(store.insert(job(text)), (record) => store.put(record.with(owned(1)), "claimed"))

const cursors = (store: Store, of: string, after = 0) =>
  Effect.map(store.outcomes(id(of), { after, limit: 1_000 }), (rows) => rows.map(([, { cursor }]) => cursor))

const notes = (sql: SqlClient) =>
  Effect.map(sql`select some_text from notes order by 1`, (rows) => rows.map((row) => Object.values(row)[0]))

const withClient = (sql: SqlClient) => <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, SqlClient, sql)

/** A transaction that has run something and stays open until it is let go. */
const holding = Effect.fnUntraced(function*(sql: SqlClient, statements: Effect.Effect<unknown, unknown>) {
  const inside = yield* Deferred.make<void>()
  const goOn = yield* Deferred.make<void>()
  const fiber = yield* Effect.forkScoped(sql.withTransaction(
    Effect.andThen(statements, Effect.andThen(Deferred.succeed(inside, undefined), Deferred.await(goOn)))
  ))
  yield* Effect.raceFirst(Deferred.await(inside), Effect.orDie(Fiber.join(fiber)))
  return Effect.andThen(Deferred.succeed(goOn, undefined), Effect.orDie(Fiber.join(fiber)))
})

describe.skipIf(programs === undefined)("on a Postgres server", () => {
  let database: PostgresDatabase
  beforeAll(async () => {
    database = await PostgresDatabase.open()
  })

  const empty = Layer.unwrap(Effect.sync(() => database.emptyStore))

  const openStore = (config: PgPoolConfig): Effect.Effect<Store, JobStoreError | SqlError, Scope.Scope> =>
    Effect.map(
      Layer.build(Layer.fresh(Layer.provide(SqlJobStore.layer, database.client(config)))),
      (context) => Context.get(context, JobStore.JobStore)
    )

  /** A client of the application's. */
  const openClient = (config: PgPoolConfig): Effect.Effect<SqlClient, SqlError, Scope.Scope> =>
    Effect.map(Layer.build(database.client(config)), (context) => Context.get(context, SqlClient))

  /** Two stores, as two processes would have them, and an application's client of the same database. */
  const shared = Effect.fnUntraced(function*(options: PgPoolConfig = {}) {
    const config = yield* database.schema
    const store = yield* openStore(config)
    const other = yield* openStore(config)
    const sql = yield* openClient({ ...config, ...options })
    yield* sql`create table notes (some_text text not null primary key)`
    return { config, store, other, sql }
  })

  /** A role, of which all databases of the server know. */
  const role = (sql: SqlClient) => {
    const name = `role_${crypto.randomUUID().replaceAll("-", "")}`
    return Effect.as(sql.unsafe(`create role ${name} login`), name)
  }

  /** Waits until something waits for a lock, or until one of these has ended and nothing will. */
  const untilWaiting = (sql: SqlClient, count: number, ...fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>>) =>
    Effect.gen(function*() {
      for (;;) {
        const waiting = yield* sql`select pid from pg_stat_activity
          where wait_event_type = 'Lock' and datname = current_database()`
        if (waiting.length >= count) return waiting.map((row) => Number(row["pid"]))
        if (fibers.some((fiber) => fiber.pollUnsafe() !== undefined)) return []
        yield* Effect.sleep(5)
      }
    })

  const terminate = (sql: SqlClient, pids: ReadonlyArray<number>) =>
    Effect.forEach(pids, (pid) => sql`select pg_terminate_backend(${pid}::int)`, { discard: true })

  jobStoreContract("Postgres", empty, it.live)

  it.effect.prop(
    "does what the store in memory does, whatever is asked of it",
    { operations: Operations },
    ({ operations }) =>
      Effect.gen(function*() {
        // Numbers are given out with gaps, so that no two stores have the same.
        const fromStart = operations.map((operation) =>
          "after" in operation ? { ...operation, after: 0 as const } : operation
        )
        const withoutNumbers = (value: unknown): unknown =>
          JSON.parse(JSON.stringify(value, (key, value) => {
            if (key === "seq") return undefined
            return Array.isArray(value) && value.length === 2 && typeof value[0] === "number" ? value[1] : value
          }))
        const expected = yield* run(fromStart).pipe(Effect.provide(MemoryJobStore.layer, { local: true }))

        const actual = yield* run(fromStart).pipe(Effect.provide(empty, { local: true }))

        assert.deepStrictEqual(withoutNumbers(actual), withoutNumbers(expected))
      }),
    { arbitrary: { runs: runs(40), size: 40 } }
  )

  describe("tells of changes", () => {
    /** Counts what a store tells of, from now on. */
    const counting = Effect.fnUntraced(function*(store: Store) {
      const told = { times: 0 }
      const listens = yield* Deferred.make<void>()
      yield* Effect.forkScoped(Stream.runForEach(store.changes, () =>
        Effect.sync(() => {
          told.times++
          Deferred.doneUnsafe(listens, Effect.void)
        })))
      yield* Deferred.await(listens)
      told.times = 0
      return told
    })

    /** Does something, and waits until it is told. */
    const isTold = <A, E, R>(told: { times: number }, effect: Effect.Effect<A, E, R>) =>
      Effect.gen(function*() {
        // More of what was done before may be under way.
        yield* Effect.sleep(50)
        told.times = 0
        yield* effect
        while (told.times === 0) yield* Effect.sleep(2)
      }).pipe(Effect.timeout("1 minute"))

    /** How often something is told, within a while. */
    const timesFor = <A, E, R>(told: { times: number }, effect: Effect.Effect<A, E, R>) =>
      Effect.gen(function*() {
        yield* Effect.sleep(50)
        told.times = 0
        yield* effect
        yield* Effect.sleep(100)
        return told.times
      })

    it.live("to another process: of jobs and schedules, not of what a job records while it runs", () =>
      Effect.gen(function*() {
        const { other, store } = yield* shared()
        const told = yield* counting(other)

        yield* isTold(told, store.insert(job("a")))
        const record = yield* store.get(id("a"))
        yield* isTold(told, store.put(record.with(owned(1)), "claimed"))
        const child = job("c", { parent: Option.some({ id: id("a"), name: "c", attempt: 1, tries: 0 }) })
        yield* isTold(told, store.insertChild(child, 1))
        yield* isTold(told, store.putSchedule(schedule("s"), []))
        const recorded = Effect.all([
          store.beat(record.id, 1),
          store.flush(record.id, flush(1, { rows: [row("1")] })),
          store.saveOwnCheckpoint(record.id, { token: 1, name: "own", checkpoint: "1" }),
          store.log(record.id, 1, { at: 1, level: "Info", message: "line" }),
          Effect.ignore(store.put(record, "too late"))
        ])
        assert.strictEqual(yield* timesFor(told, recorded), 0)
      }))

    it.live("of the caller's transaction once that is committed, and never if it is not", () =>
      Effect.gen(function*() {
        const { other, sql, store } = yield* shared()
        const told = yield* counting(other)
        const insert = (text: string) => withClient(sql)(store.insert(job(text)))
        yield* isTold(told, sql.withTransaction(insert("first")))

        const rolledBack = sql.withTransaction(Effect.andThen(insert("a"), Effect.fail("no")))
        assert.strictEqual(yield* timesFor(told, Effect.ignore(rolledBack)), 0)
        const open = Effect.andThen(
          insert("b"),
          Effect.andThen(Effect.sleep(200), Effect.sync(() => assert.strictEqual(told.times, 0)))
        )
        yield* isTold(told, sql.withTransaction(open))
      }))

    it.live("of a job that is started within a flush, once that is committed", () =>
      Effect.gen(function*() {
        const { other, store } = yield* shared()
        const record = yield* running(store, "a")
        const told = yield* counting(other)
        // What was told of that job may still be under way.
        yield* timesFor(told, Effect.void)
        told.times = 0

        const onCommit = Effect.andThen(
          Effect.orDie(store.insert(job("b"))),
          Effect.andThen(Effect.sleep(200), Effect.sync(() => assert.strictEqual(told.times, 0)))
        )
        yield* isTold(told, store.flush(record.id, flush(1), onCommit))
      }))

    it.live("so that its version is another one after each change, and after nothing else while somebody listens", () =>
      Effect.gen(function*() {
        const { other, sql, store } = yield* shared()
        const foreign = (text: string) => sql`insert into notes values (${text})`
        const isOther = (effect: Effect.Effect<unknown, unknown>) =>
          Effect.gen(function*() {
            const before = yield* other.version
            yield* effect
            while (yield* Effect.map(other.version, (version) => version === before)) yield* Effect.sleep(2)
          }).pipe(Effect.timeout("1 minute"))

        yield* isOther(foreign("nobody listens"))
        yield* Effect.scoped(Effect.gen(function*() {
          const told = yield* counting(other)
          const changes = [
            store.insert(job("a")),
            Effect.flatMap(store.get(id("a")), (record) => store.put(record.with(owned(1)), "claimed")),
            store.beat(id("a"), 1),
            store.flush(id("a"), flush(1, { rows: [row("1")] })),
            store.saveOwnCheckpoint(id("a"), { token: 1, name: "own", checkpoint: "1" }),
            store.log(id("a"), 1, { at: 1, level: "Info", message: "line" }),
            store.putSchedule(schedule("s"), []),
            store.removeSchedule("s"),
            store.insert(job("old", finished(5))),
            store.prune(10)
          ]
          for (const change of changes) yield* isOther(change)
          yield* isTold(told, store.insert(job("b")))
          yield* Effect.sleep(50)
          const before = yield* other.version
          yield* foreign("somebody listens")
          assert.strictEqual(yield* other.version, before)
        }))
        yield* isOther(foreign("nobody listens again"))
      }))

    it.live("of many changes at once", () =>
      Effect.gen(function*() {
        const { other, store } = yield* shared()
        const told = yield* counting(other)
        const names = Array.from({ length: 300 }, (_, index) => `${index}`)
        const [duration, times] = yield* Effect.timed(timesFor(
          told,
          Effect.forEach(names, (name) => store.insert(job(name)), { concurrency: 4, discard: true })
        ))

        assert.isAtLeast(times, 1)
        assert.isAtMost(times, 2 + Duration.toMillis(duration) / 20)
      }))

    it.live("of what a process does before it ends", () =>
      Effect.gen(function*() {
        const { config, other } = yield* shared()
        const told = yield* counting(other)

        yield* Effect.scoped(Effect.gen(function*() {
          const store = yield* openStore(config)
          yield* isTold(told, store.insert(job("a")))
          told.times = 0
          yield* store.insert(job("b"))
        }))

        while (told.times === 0) yield* Effect.sleep(2)
      }).pipe(Effect.timeout("1 minute")))

    it.live("to nobody, where a listener would hold the only connection, or hears nothing", () =>
      Effect.gen(function*() {
        const config = yield* database.schema
        const connect = PgClient.layerFrom(PgClient.makeClient(config))
        const deaf = Layer.effect(
          SqlClient,
          Effect.map(SqlClient, (sql) => Object.assign(sql, { listen: () => Queue.unbounded() }))
        )
        const clients = [
          database.client({ ...config, maxConnections: 1 }),
          Layer.fresh(connect),
          Layer.provide(deaf, database.client(config))
        ]
        yield* Effect.forEach(clients, (client, index) =>
          Effect.gen(function*() {
            const context = yield* Layer.build(Layer.fresh(Layer.provide(SqlJobStore.layer, client)))
            const store = Context.get(context, JobStore.JobStore)
            const listening = yield* Effect.forkChild(Stream.runCollect(store.changes))
            yield* Effect.sleep(10)

            yield* store.insert(job(`${index}`))

            assert.deepStrictEqual(yield* Fiber.join(listening), [])
          }), { concurrency: "unbounded", discard: true }).pipe(Effect.timeout("1 minute"))
      }))
  })

  describe("in the caller's transaction on the same database", () => {
    it.live("stores a job when that commits, and not before", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()

        const stored = yield* sql.withTransaction(Effect.gen(function*() {
          const stored = yield* store.insert(job("a"))
          yield* sql`insert into notes values ('with a')`
          assert.isFalse(yield* exists(store, "a"))
          return stored
        })).pipe(withClient(sql))

        assert.deepStrictEqual(yield* store.get(id("a")), stored)
        assert.deepStrictEqual(yield* notes(sql), ["with a"])
      }))

    it.live("stores nothing when that, or the savepoint in it, is rolled back", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()

        yield* sql.withTransaction(Effect.gen(function*() {
          yield* store.insert(job("outer"))
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(store.insert(job("inner")), Effect.fail("no"))))
        })).pipe(withClient(sql))
        const exit = yield* sql.withTransaction(Effect.andThen(store.insert(job("a")), Effect.fail("no"))).pipe(
          withClient(sql),
          Effect.exit
        )

        assert.deepStrictEqual(exit, Exit.fail("no"))
        assert.deepStrictEqual((yield* store.list({ limit: 10 })).map(({ id }) => id), [id("outer")])
      }))

    it.live("leaves that usable when a job is refused, and finds the one that has its key", () =>
      Effect.gen(function*() {
        const upper = (text: string) => text.toUpperCase()
        const { sql, store } = yield* shared({ transformResultNames: upper })
        yield* store.insert(job("a", { exclusiveKey: Option.some("key") }))

        const found = yield* sql.withTransaction(Effect.gen(function*() {
          const refused = yield* reasonOf(store.insert(job("a", { name: "other" })))
          yield* sql`insert into notes values ('still here')`
          yield* store.insert(job("b"))
          const twin = yield* store.insert(job("c", { exclusiveKey: Option.some("key") }))
          return [refused._tag, twin.id]
        })).pipe(withClient(sql), Effect.provideService(BeginTransaction, "begin isolation level serializable"))

        assert.deepStrictEqual(found, ["JobConflict", "a"])
        assert.isTrue(yield* exists(store, "b"))
        assert.deepStrictEqual(yield* notes(sql), ["still here"])
      }))

    it.live("refuses it in one on another schema", () =>
      Effect.gen(function*() {
        const { store } = yield* shared()
        const { sql } = yield* shared()

        const problem = yield* withClient(sql)(sql.withTransaction(problemOf(store.insert(job("a")))))

        assert.strictEqual(problem, "OtherTransaction")
        assert.isFalse(yield* exists(store, "a"))
      }))

    it.live("leaves that alone where its role may not look at the store", () =>
      Effect.gen(function*() {
        const { config, sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const stranger = yield* role(sql)
        yield* sql.unsafe(`grant usage on schema ${config.startupParameters?.["search_path"]} to ${stranger}`)
        yield* sql.unsafe(`grant all on notes to ${stranger}`)
        const strangers = yield* openClient({ ...config, username: stranger })

        yield* strangers.withTransaction(Effect.gen(function*() {
          assert.strictEqual(yield* problemOf(store.insert(job("b"))), "OtherTransaction")
          yield* store.flush(record.id, flush(1, { rows: [row("1")] }), Effect.void)
          yield* strangers`insert into notes values ('usable')`
        })).pipe(withClient(strangers))

        assert.isFalse(yield* exists(store, "b"))
        assert.deepStrictEqual(yield* cursors(store, "a"), ["1"])
        assert.deepStrictEqual(yield* notes(sql), ["usable"])
      }))

    it.live("waits for a job with its key, and finds it when that is committed", () =>
      Effect.gen(function*() {
        const { other, sql, store } = yield* shared()
        const key = { idempotencyKey: Option.some("key") }
        const commit = yield* holding(sql, withClient(sql)(store.insert(job("first", key))))
        const second = yield* Effect.forkChild(other.insert(job("second", key)))
        yield* untilWaiting(sql, 1, second)

        yield* commit

        assert.strictEqual((yield* Fiber.join(second)).id, id("first"))
      }))

    it.live("fails at once where that sees what is not the newest any more", () =>
      Effect.gen(function*() {
        const elapsed = startStopwatch()
        const { other, sql, store } = yield* shared()
        const key = { idempotencyKey: Option.some("key") }

        const problem = yield* sql.withTransaction(Effect.gen(function*() {
          yield* notes(sql)
          // Out of the transaction, as another process would.
          yield* Effect.promise(() => Effect.runPromise(other.insert(job("other", key))))
          return yield* problemOf(store.insert(job("a", key)))
        })).pipe(
          withClient(sql),
          Effect.provideService(BeginTransaction, "begin isolation level repeatable read"),
          Effect.timeout("1 minute")
        )
        assert.isBelow(elapsed(), 5000)

        assert.strictEqual(problem, "Busy")
        assert.isFalse(yield* exists(store, "a"))
      }))

    it.live("fails once where two of these wait for each other, and lets the other one go on", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const insert = (name: string, key: string) => store.insert(job(name, { exclusiveKey: Option.some(key) }))
        const both = yield* Effect.all([Deferred.make<void>(), Deferred.make<void>()])
        const crossing = (name: string, [first, second]: readonly [string, string], own: number) =>
          sql.withTransaction(Effect.gen(function*() {
            yield* insert(`${name}1`, first)
            yield* Deferred.succeed(both[own] ?? both[0], undefined)
            yield* Effect.forEach(both, Deferred.await)
            yield* insert(`${name}2`, second)
          })).pipe(withClient(sql), Effect.exit)

        const exits = yield* Effect.all([crossing("a", ["k1", "k2"], 0), crossing("b", ["k2", "k1"], 1)], {
          concurrency: "unbounded"
        }).pipe(Effect.timeout("1 minute"))

        assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
        assert.strictEqual((yield* store.list({ limit: 10 })).length, 2)
      }))
  })

  describe("onCommit", () => {
    const write = (text: string) => Effect.flatMap(SqlClient, (sql) => sql`insert into notes values (${text})`)

    it.live("writes with the flush through a client of the same database, or not at all", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const nested = Effect.gen(function*() {
          const sql = yield* SqlClient
          yield* write("outer")
          yield* Effect.ignore(sql.withTransaction(Effect.andThen(write("undone"), Effect.fail(0))))
          // Only in a savepoint of its own may a statement fail.
          yield* Effect.ignore(sql.withTransaction(write("outer")))
          yield* sql.withTransaction(write("nested"))
        })

        yield* withClient(sql)(store.flush(record.id, flush(1, { rows: [row("1")] }), nested))
        const failing = Effect.andThen(write("lost"), Effect.fail("no"))
        const exit = yield* Effect.exit(
          withClient(sql)(
            store.flush(record.id, flush(1, { rows: [row("2")] }), failing)
          )
        )

        assert.deepStrictEqual(exit, Exit.fail("no"))
        assert.deepStrictEqual(yield* notes(sql), ["nested", "outer"])
        assert.deepStrictEqual(yield* cursors(store, "a"), ["1"])
      }))

    it.live("runs at the same isolation, whatever the server's default is", () =>
      Effect.gen(function*() {
        const { config, sql } = yield* shared()
        const strict = { ...config.startupParameters, default_transaction_isolation: "serializable" }
        const store = yield* openStore({ ...config, startupParameters: strict })
        const record = yield* running(store, "a")
        const isolation = Effect.flatMap(SqlClient, (sql) => sql`show transaction_isolation`)
        let seen: unknown

        yield* withClient(sql)(store.flush(
          record.id,
          flush(1),
          Effect.map(isolation, (rows) => {
            seen = rows
          })
        ))

        assert.deepEqual(seen, [{ transaction_isolation: "read committed" }])
      }))

    it.live("records nothing where it hides that a statement of its own has failed", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const hiding = Effect.ignore(Effect.andThen(write("twice"), write("twice")))

        const problem = yield* problemOf(
          withClient(sql)(
            store.flush(record.id, flush(1, { rows: [row("1")] }), hiding)
          )
        )

        assert.strictEqual(problem, "Other")
        assert.deepStrictEqual(yield* notes(sql), [])
        assert.deepStrictEqual(yield* cursors(store, "a"), [])
      }))

    it.live("leaves a client of another store alone", () =>
      Effect.gen(function*() {
        const { store } = yield* shared()
        const elsewhere = yield* shared()
        const record = yield* running(store, "a")

        yield* withClient(elsewhere.sql)(
          store.flush(record.id, flush(1, { rows: [row("1")] }), Effect.asVoid(write("elsewhere")))
        )

        assert.deepStrictEqual(yield* notes(elsewhere.sql), ["elsewhere"])
        assert.deepStrictEqual(yield* cursors(store, "a"), ["1"])
      }))
  })

  describe("between processes", () => {
    it.live("lets one of many changes win that have read the same, again and again", () =>
      Effect.gen(function*() {
        const { other, store } = yield* shared()
        const first = yield* store.insert(job("a"))

        for (let revision = 1; revision <= 20; revision++) {
          const read = yield* store.get(first.id)
          const exits = yield* Effect.forEach(
            [store, other, store, other, store, other],
            (store, priority) => Effect.exit(store.put(read.with({ priority }), `${priority}`)),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
        }

        assert.strictEqual((yield* store.get(first.id)).revision, 21)
        assert.strictEqual((yield* store.logs(first.id, { after: 0, limit: 100 })).length, 20)
      }))

    const late: Record<string, (store: Store) => Effect.Effect<unknown, JobStoreError>> = {
      beat: (store) => store.beat(id("a"), 1),
      flush: (store) => store.flush(id("a"), flush(1, { rows: [row("late")], checkpoint: "late" })),
      "flush with onCommit": (store) =>
        store.flush(id("a"), flush(1, { rows: [row("late")], checkpoint: "late" }), Effect.die("must not run")),
      saveOwnCheckpoint: (store) => store.saveOwnCheckpoint(id("a"), { token: 1, name: "own", checkpoint: "late" }),
      log: (store) => store.log(id("a"), 1, { at: 1, level: "Info", message: "late" })
    }
    for (const [name, write] of Object.entries(late)) {
      it.live(`refuses ${name} of an owner that is being replaced at this moment`, () =>
        Effect.gen(function*() {
          const { sql, store } = yield* shared()
          const record = yield* running(store, "a")
          yield* store.flush(record.id, flush(1, { checkpoint: "kept" }))
          const commit = yield* holding(
            sql,
            sql`update fanout_jobs set lease_token = 2, lease = ${
              JSON.stringify({ token: 2, owner: { machine: "m", boot: "b", process: "2" } })
            }, token = 2, revision = revision + 1 where id = 'a'`
          )
          const writing = yield* Effect.forkChild(reasonOf(write(store)))
          yield* untilWaiting(sql, 1, writing)

          yield* commit

          assert.strictEqual((yield* Fiber.join(writing))._tag, "Fenced")
          assert.deepStrictEqual(yield* cursors(store, "a"), [])
          assert.deepStrictEqual(yield* store.checkpoint(record.id, "files"), Option.some("kept"))
          assert.deepStrictEqual(yield* store.ownCheckpoint(record.id, "own"), Option.none())
          assert.strictEqual((yield* store.logs(record.id, { after: 0, limit: 10 })).length, 1)
        }))
    }

    it.live("has a new owner wait for what the old one is recording", () =>
      Effect.gen(function*() {
        const { other, sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const inside = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        const flushing = yield* Effect.forkChild(store.flush(
          record.id,
          flush(1, { rows: [row("1")], checkpoint: "recorded" }),
          Effect.andThen(Deferred.succeed(inside, undefined), Deferred.await(goOn))
        ))
        yield* Deferred.await(inside)
        const taking = yield* Effect.forkChild(Effect.andThen(
          other.put(record.with(owned(2)), "taken over"),
          Effect.all([other.checkpoint(record.id, "files"), cursors(other, "a")])
        ))
        yield* untilWaiting(sql, 1, taking)

        yield* Deferred.succeed(goOn, undefined)

        yield* Fiber.join(flushing)
        assert.deepStrictEqual(yield* Fiber.join(taking), [Option.some("recorded"), ["1"]])
        assert.strictEqual((yield* reasonOf(store.flush(record.id, flush(1))))._tag, "Fenced")
      }))

    it.live("lets a reader who goes by numbers miss no row and no line", () =>
      Effect.gen(function*() {
        const { other, sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const busy = yield* running(store, "busy")
        const line = (message: string) => ({ at: 1, level: "Info" as const, message })
        const inside = yield* Deferred.make<void>()
        const goOn = yield* Deferred.make<void>()
        // Its row and its line have their numbers, and are not to be seen yet.
        const slow = yield* Effect.forkChild(store.flush(
          record.id,
          flush(1, { fanOut: "slow", rows: [row("slow", undefined, "slow")] }),
          Effect.gen(function*() {
            yield* Effect.orDie(store.log(record.id, 1, line("slow")))
            yield* Deferred.succeed(inside, undefined)
            yield* Deferred.await(goOn)
          })
        ))
        yield* Deferred.await(inside)
        const quick = yield* Effect.forkChild(Effect.andThen(
          other.flush(record.id, flush(1, { rows: [row("quick")] })),
          other.log(record.id, 1, line("quick"))
        ))
        yield* untilWaiting(sql, 1, quick)
        const read = Effect.fnUntraced(function*(after: number, afterLine: number) {
          const rows = yield* other.outcomes(record.id, { after, limit: 100 })
          const lines = yield* other.logs(record.id, { after: afterLine, limit: 100 })
          const seen = [...rows.map(([, { cursor }]) => cursor), ...lines.map(({ message }) => message)]
          return { seen, after: rows.at(-1)?.[0] ?? after, afterLine: lines.at(-1)?.seq ?? afterLine }
        })
        const before = yield* read(0, 0)
        // Another job has nothing to do with it.
        yield* other.flush(busy.id, flush(1, { rows: [row("1")] })).pipe(Effect.timeout("1 minute"))

        yield* Deferred.succeed(goOn, undefined)

        yield* Fiber.join(slow)
        yield* Fiber.join(quick)
        const { seen } = yield* read(before.after, before.afterLine)
        assert.deepStrictEqual([...before.seen, ...seen], ["claimed", "slow", "quick", "slow", "quick"])
      }))

    it.live("loses none of many rows that several record, and puts replaced ones behind", () =>
      Effect.gen(function*() {
        const { other, store } = yield* shared()
        const record = yield* running(store, "a")
        const seen: Array<string> = []
        const watching = yield* Effect.forkChild(Effect.gen(function*() {
          let after = 0
          while (new Set(seen).size < 400) {
            const rows = yield* store.outcomes(record.id, { after, limit: 1_000 })
            seen.push(...rows.map(([, { cursor }]) => cursor))
            after = rows.at(-1)?.[0] ?? after
            yield* Effect.sleep(1)
          }
        }))

        yield* Effect.forEach([store, other, store, other], (store, writer) =>
          Effect.forEach(
            Array.from({ length: 50 }, (_, index) => index),
            (index) => {
              const fanOut = `${writer}`
              const names = [`${writer}:${index}:a`, `${writer}:${index}:b`, `${writer}:0:a`]
              return store.flush(
                record.id,
                flush(1, { fanOut, rows: names.map((name) => row(name, undefined, fanOut)) })
              )
            },
            { discard: true }
          ), { concurrency: "unbounded" })

        yield* Fiber.join(watching).pipe(Effect.timeout("1 minute"))
        assert.strictEqual(yield* store.failures(record.id), 400)
      }))

    it.live("removes no job that is retried at this moment", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        yield* store.insert(job("kept", finished(1)))
        yield* store.insert(job("old", finished(1)))
        const queued = JSON.stringify({ _tag: "Queued", attempt: 2, tries: 0 })
        const commit = yield* holding(
          sql,
          sql`update fanout_jobs set tag = 'Queued', state = ${queued}, revision = 2 where id = 'kept'`
        )
        const pruning = yield* Effect.forkChild(store.prune(10))
        yield* untilWaiting(sql, 1, pruning)

        yield* commit

        assert.strictEqual(yield* Fiber.join(pruning), 1)
        assert.isTrue(yield* exists(store, "kept"))
        assert.isFalse(yield* exists(store, "old"))
      }))

    it.live("stores each key once when two processes make the tables and insert all of them at once", () =>
      Effect.gen(function*() {
        const config = yield* database.schema
        const start = path.join(database.folder, `start-${crypto.randomUUID()}`)
        const child = path.join(import.meta.dirname, "JobStoreChild.ts")
        const inserting = ["one", "two"].map((name) => {
          const args = ["--conditions=@fanout/source", child, JSON.stringify(config), name, start, "200"]
          return spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] })
        })
        const output = inserting.map(() => "")
        const closed = inserting.map((process, index) => {
          process.stdout.setEncoding("utf8").on("data", (text: string) => (output[index] += text))
          return once(process, "close")
        })
        const ready = inserting.map((process) => once(process.stdout, "data"))

        yield* Effect.promise(() => Promise.all(ready))
        fs.writeFileSync(start, "")
        yield* Effect.promise(() => Promise.all(closed))

        const [one = [], two = []] = output.map((text): ReadonlyArray<string> =>
          JSON.parse(text.replace("ready\n", ""))
        )
        assert.strictEqual(one.length, 200)
        assert.deepStrictEqual(one, two)
        const jobs = yield* (yield* openStore(config)).list({ limit: 1_000 })
        assert.sameMembers(jobs.map((record): string => record.id), Array.from(one))
      }))
  })

  describe("opening", () => {
    it.live("makes one store of a database that many open at once, and finds it again", () =>
      Effect.gen(function*() {
        const config = yield* database.schema

        const stores = yield* Effect.forEach([1, 2, 3, 4, 5, 6], () => openStore(config), { concurrency: "unbounded" })

        yield* Effect.forEach(stores, (store, index) => store.insert(job(`${index}`)))
        const again = yield* openStore(config)
        for (const store of [again, ...stores]) assert.strictEqual((yield* store.list({ limit: 10 })).length, 6)
      }))

    it.live("refuses a database of a newer version, and leaves it as it is", () =>
      Effect.gen(function*() {
        const { config, sql } = yield* shared()
        yield* sql`insert into fanout_migrations (migration_id, name) values (${supported + 1}, 'later')`

        const reason = yield* reasonOf(Effect.catchTag(Effect.scoped(openStore(config)), "SqlError", Effect.die))

        assert.deepInclude(reason, { _tag: "StoreTooNew", found: supported + 1, supported })
      }))

    it.live("makes its tables beside the application's, all or none", () =>
      Effect.gen(function*() {
        const config = yield* database.schema
        const sql = yield* openClient(config)
        yield* sql`create table fanout_logs (mine text)`
        const opening = Effect.catchTag(Effect.scoped(openStore(config)), "SqlError", Effect.die)

        const reason = yield* reasonOf(opening)
        const made = yield* sql`select to_regclass('fanout_jobs')::text as name`
        yield* sql`drop table fanout_logs`
        yield* opening

        assert.include(reason.message, `relation "fanout_logs" already exists`)
        assert.deepEqual(made, [{ name: null }])
      }))

    it.live("waits for nobody who reads, and needs no more rights than to read, where nothing is missing", () =>
      Effect.gen(function*() {
        const { config, sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const reader = yield* role(sql)
        const schema = config.startupParameters?.["search_path"] ?? ""
        yield* sql.unsafe(`grant usage on schema ${schema} to ${reader}`)
        yield* sql.unsafe(`grant select on all tables in schema ${schema} to ${reader}`)
        // As a backup does.
        const commit = yield* holding(sql, sql`select * from fanout_migrations, fanout_jobs`)

        const readers = yield* openStore({ ...config, username: reader }).pipe(Effect.timeout("1 minute"))

        yield* commit
        assert.deepStrictEqual(yield* readers.get(record.id), record)
        const refused = yield* reasonOf(readers.beat(record.id, 1))
        assert.include(refused.message, "permission denied for table fanout_jobs")
        const standby = { ...config, startupParameters: { search_path: schema, default_transaction_read_only: "on" } }
        const readOnly = yield* openStore(standby)
        assert.strictEqual(yield* problemOf(readOnly.beat(record.id, 1)), "ReadOnly")
        assert.strictEqual(yield* problemOf(readOnly.insert(job("b"))), "ReadOnly")
      }))
  })

  describe("trouble", () => {
    /** Lets time pass for what waits by the clock, while what the server is asked takes the time that it takes. */
    const pass = Effect.fnUntraced(function*<A, E>(fiber: Fiber.Fiber<A, E>) {
      while (fiber.pollUnsafe() === undefined) {
        yield* TestClock.adjust("1 second")
        yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      }
      return yield* Fiber.join(fiber)
    })

    it.effect("with a lock is reported after half a minute, where the client bounds how long it waits", () =>
      Effect.gen(function*() {
        const { config, sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const schema = config.startupParameters?.["search_path"] ?? ""
        const bounded = yield* openStore({
          ...config,
          startupParameters: { search_path: schema, lock_timeout: "20ms" }
        })
        const commit = yield* holding(sql, sql`update fanout_jobs set beat = 7 where id = 'a'`)
        let commits = 0

        const problems = yield* pass(
          yield* Effect.forkChild(Effect.all([
            problemOf(bounded.beat(record.id, 1)),
            problemOf(bounded.put(record, "x")),
            problemOf(bounded.flush(record.id, flush(1), Effect.sync(() => commits++)))
          ], { concurrency: "unbounded" }))
        )

        assert.deepStrictEqual(problems, ["Busy", "Busy", "Busy"])
        assert.strictEqual(commits, 0)
        yield* commit
        yield* bounded.beat(record.id, 1)
        assert.strictEqual((yield* store.pulse(record.id)).beat, 8)
      }))

    it.live("with connections that are lost while they wait is passed over: all is done once", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const commit = yield* holding(sql, sql`update fanout_jobs set beat = 7 where id = 'a'`)
        let commits = 0
        const waiting = yield* Effect.forkChild(Effect.all([
          store.beat(record.id, 1),
          store.flush(record.id, flush(1, { rows: [row("1")] }), Effect.sync(() => commits++)),
          store.log(record.id, 1, { at: 1, level: "Info", message: "once" })
        ], { concurrency: "unbounded" }))

        yield* terminate(sql, yield* untilWaiting(sql, 3, waiting))
        yield* untilWaiting(sql, 3, waiting)
        yield* commit

        yield* Fiber.join(waiting)
        assert.strictEqual(commits, 1)
        assert.strictEqual((yield* store.pulse(record.id)).beat, 8)
        assert.deepStrictEqual(yield* cursors(store, "a"), ["1"])
        assert.strictEqual((yield* store.logs(record.id, { after: 0, limit: 10 })).length, 2)
      }))

    it.live("with a connection that is lost in onCommit ends the flush at once, and nothing of it is there", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")
        const admin = yield* openClient({})
        let commits = 0
        let inner: unknown

        const problem = yield* problemOf(
          withClient(sql)(store.flush(
            record.id,
            flush(1, { rows: [row("1")], checkpoint: "lost" }),
            Effect.gen(function*() {
              commits++
              const [own] = yield* Effect.orDie(Effect.flatMap(SqlClient, (sql) => sql`select pg_backend_pid() as pid`))
              yield* Effect.orDie(terminate(admin, [Number(own?.["pid"])]))
              const lost = store.log(record.id, 1, { at: 1, level: "Info", message: "lost" })
              inner = yield* Effect.orDie(problemOf(lost))
            })
          ))
        ).pipe(Effect.timeout("1 minute"))

        assert.deepStrictEqual([problem, inner, commits], ["Unreachable", "Unreachable", 1])
        assert.deepStrictEqual(yield* cursors(store, "a"), [])
        yield* store.flush(record.id, flush(1, { rows: [row("2")] }))
        assert.deepStrictEqual(yield* cursors(store, "a"), ["2"])
      }))

    for (const [what, isPassedOn] of [["is", true], ["is not", false]] as const) {
      it.live(`with a connection that is lost when the commit ${what} done never does it twice`, () =>
        Effect.gen(function*() {
          const { config, sql, store: direct } = yield* shared()
          // Prepared statements would have no text by which they could be told.
          const proxy = yield* proxied(database.folder, isPassedOn)
          const store = yield* openStore({ ...config, host: "localhost", port: proxy.port, prepare: false })
          const record = yield* running(direct, "a")
          let commits = 0
          proxy.arm()

          const problem = yield* problemOf(
            withClient(sql)(
              store.flush(record.id, flush(1, { rows: [row("1")] }), Effect.sync(() => commits++))
            )
          ).pipe(Effect.timeout("1 minute"))

          assert.deepStrictEqual([problem, commits], ["Unreachable", 1])
          // The server may take a moment to see that nobody is there any more.
          const reading = Effect.filterOrFail(
            cursors(direct, "a"),
            (found) => (found.length > 0) === isPassedOn,
            () => new Error("not yet")
          )
          yield* Effect.retry(reading, { times: 100 })
          yield* store.flush(record.id, flush(1, { rows: [row("2")] }))
          assert.deepStrictEqual(yield* cursors(direct, "a"), isPassedOn ? ["1", "2"] : ["2"])
        }))
    }

    it.live("with a database that is not there, or a role that may not come in, is told at once", () =>
      Effect.gen(function*() {
        const wrongs = [[{ database: "nowhere" }, "Missing"], [{ username: "nobody" }, "Denied"]] as const
        for (const [wrong, problem] of wrongs) {
          const elapsed = startStopwatch()
          const opening = Effect.catchTag(Effect.scoped(openStore(wrong)), "SqlError", Effect.die)
          assert.strictEqual(yield* Effect.timeout(problemOf(opening), "1 minute"), problem)
          assert.isBelow(elapsed(), 5000)
        }
      }))

    it.live("with rows that nobody here has written is told", () =>
      Effect.gen(function*() {
        const { sql, store } = yield* shared()
        const record = yield* running(store, "a")
        yield* sql`update fanout_payloads set payload = 'no json'`
        assert.strictEqual(yield* problemOf(store.get(record.id)), "Corrupt")
      }))

    it.live("with a server that is restarted is waited out", () =>
      Effect.gen(function*() {
        const server = yield* PostgresServer.scoped
        const store = Context.get(yield* Layer.build(server.emptyStore), JobStore.JobStore)
        const record = yield* running(store, "a")
        server.halt()
        const writing = yield* Effect.forkChild(Effect.all([
          store.beat(record.id, 1),
          store.flush(record.id, flush(1, { rows: [row("1")] })),
          store.insert(job("b")),
          store.get(record.id)
        ], { concurrency: "unbounded" }))
        yield* Effect.sleep(200)
        assert.isUndefined(writing.pollUnsafe())

        server.resume()

        yield* Fiber.join(writing)
        assert.deepStrictEqual(yield* cursors(store, "a"), ["1"])
        assert.isTrue(yield* exists(store, "b"))
        assert.strictEqual((yield* store.pulse(record.id)).beat, 1)
      }))
  })

  it.live("writes nothing of a flush that is interrupted while it waits", () =>
    Effect.gen(function*() {
      const { sql, store } = yield* shared()
      const record = yield* running(store, "a")
      const commit = yield* holding(sql, sql`update fanout_jobs set beat = 7 where id = 'a'`)
      const flushing = yield* Effect.forkChild(store.flush(record.id, flush(1, { rows: [row("1")] })))
      yield* untilWaiting(sql, 1, flushing)

      yield* Fiber.interrupt(flushing)

      yield* commit
      assert.deepStrictEqual(yield* cursors(store, "a"), [])
      assert.deepStrictEqual((yield* store.requested(record.id, 1)).request, Option.none())
    }))
})

/** A way to the server that breaks when it is armed and something is to be committed. */
const proxied = (folder: string, isPassedOn: boolean) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      let armed = false
      const proxy = net.createServer((client) => {
        const upstream = net.connect(path.join(folder, ".s.PGSQL.5432"))
        upstream.pipe(client)
        for (const socket of [client, upstream]) socket.on("error", () => {})
        client.on("close", () => upstream.end())
        client.on("data", (chunk) => {
          if (!armed || !chunk.includes("COMMIT")) return upstream.write(chunk)
          armed = false
          upstream.unpipe(client)
          if (isPassedOn) upstream.end(chunk)
          return client.destroy()
        })
      })
      await once(proxy.listen(0, "127.0.0.1"), "listening")
      const address = proxy.address()
      return {
        port: typeof address === "object" && address !== null ? address.port : 0,
        arm: () => {
          armed = true
        },
        close: () => proxy.close()
      }
    }),
    (proxy) => Effect.sync(() => proxy.close())
  )
