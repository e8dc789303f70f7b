import * as SqliteClient from "@effect/sql-sqlite-node/SqliteClient"
import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import * as JobId from "@fanout/core/JobId"
import * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as SqlJobStore from "@fanout/core/SqlJobStore"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { SqlClient } from "effect/sql/SqlClient"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import * as Records from "./JobStoreRecords.ts"
import { process } from "./managers.ts"

const sqlite = Layer.provideMerge(SqlJobStore.layer, SqliteClient.layer({ filename: ":memory:" }))

const Short = Job.make("test/Short", { payload: Schema.Json })
const program = Short.toLayer(() => Effect.void)
const waits = Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check))
const patient = Short.toLayer(() => waits)

const id = (text: string) => JobId.make(text)
const short = (text: string, fields: Parameters<typeof Records.job>[1] = {}) =>
  Records.job(text, { name: Short.name, payload: null, createdAt: 0, availableAt: 0, ...fields })
const tagOf = (text: string) =>
  JobStore.JobStore.use((store) => Effect.map(store.get(id(text)), ({ state }) => state._tag))

/** Runs an effect, and gives the warnings of it. */
const warned = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ cause, message }) =>
      void lines.push([String(message), ...cause.reasons.length === 0 ? [] : [Cause.pretty(cause)]].join(": "))
    )
    return Effect.map(Effect.provide(effect, Logger.layer([logger])), (result) => ({
      result,
      // Not those of the clock, which does not wait for what takes long.
      lines: lines.filter((line) => !line.startsWith("A fiber woken by the test clock"))
    }))
  })

/** How a row is found by who looks for something to do. */
const rows = {
  queued: short("x", { priority: 5 }),
  running: short("x", { ...Records.owned(1) }),
  cancelled: short("x", { request: Option.some("Cancel"), token: 1 }),
  child: short("x", { parent: Option.some({ id: id("nobody"), name: "x", attempt: 1, tries: 0 }) })
}

/** The same as a row that can be read. */
const others = {
  queued: { job: short("other"), ends: "Completed" },
  running: { job: short("other", { ...Records.owned(1) }), ends: "Completed" },
  cancelled: { job: short("other", { request: Option.some("Cancel"), token: 1 }), ends: "Cancelled" },
  child: {
    job: short("other", { parent: Option.some({ id: id("nobody"), name: "other", attempt: 1, tries: 0 }) }),
    ends: "Cancelled"
  }
} as const

const texts = [
  "",
  "\\zz",
  "{}",
  "no json",
  "{\"_tag\":\"Strange\",\"attempt\":1,\"tries\":0}",
  "{\"concurrency\":0}",
  "0"
]
const numbers = [-1, 2 ** 53, 7]
const reals = ["infinite", -1, 1e300]

const columns = {
  id: texts,
  name: texts,
  version: numbers,
  idempotency_key: texts,
  exclusive_key: texts,
  parent_id: texts,
  parent_name: texts,
  parent: texts,
  active_parent: texts,
  priority: numbers,
  limits: texts,
  tag: [...texts, "Queued", "Running", "Completed"],
  state: texts,
  exit: texts,
  request: texts,
  lease_token: numbers,
  lease: texts,
  token: numbers,
  owners_lost: numbers,
  created_at: reals,
  updated_at: reals,
  available_at: reals,
  finished_at: reals,
  revision: numbers,
  beat: numbers,
  progress: texts
}

const unreadable = [
  ["limits", "{\"concurrency\":0}"],
  ["state", "no json"],
  ["progress", "{}"],
  ["priority", 2 ** 53],
  ["parent", "{}"],
  ["tag", "Completed"],
  ["tag", "Strange"],
  ["id", ""]
] as const

/** Sees that a row in which a cell was broken holds back no other one. */
const holdsBackNobody = Effect.fnUntraced(function*(
  as: keyof typeof rows,
  column: string,
  value: string | number,
  isSurely: boolean
) {
  const sql = yield* SqlClient
  const store = yield* JobStore.JobStore
  const { ends, job } = others[as]
  yield* store.insert(rows[as])
  yield* store.insert(job)
  yield* store.insert(short("last", { priority: -5 }))
  const seq = (yield* sql`select seq from fanout_jobs where id = 'x'`)[0]?.["seq"]
  yield* sql`update fanout_jobs set ${sql(column)} = ${
    value === "infinite" ? Number.POSITIVE_INFINITY : value
  } where seq = ${seq}`
  const broken = column === "id" ? String(value) : "x"

  const { lines, result: { jobs } } = yield* warned(Effect.tap(
    process([Short], program, { leaseTtl: 1000 }),
    () => TestClock.adjust("3 seconds")
  ))

  assert.deepStrictEqual([yield* tagOf("other"), yield* tagOf("last")], [ends, "Completed"])
  const listed = yield* jobs.unreadable()
  assert.deepStrictEqual(listed.filter((job) => job.id !== broken), [])
  assert.strictEqual((yield* jobs.list()).length + listed.length, 3)
  const told = lines.filter((line) => line.startsWith(`Job ${broken} is left as it is: it can't be read: `))
  assert.isAtMost(told.length, 1)
  assert.strictEqual(lines.length, told.length + lines.filter((line) => line.startsWith("Jobs are left")).length)
  if (told.length > 0 || isSurely) assert.strictEqual(listed.length, 1, lines.join("\n"))
})

/** Copies the job `x` many times. */
const copies = Effect.fnUntraced(function*(count: number, prefix = "x") {
  const sql = yield* SqlClient
  const numbers = sql`with recursive numbers (n) as (select 1 union all select n + 1 from numbers where n < ${count})`
  yield* sql`insert into fanout_payloads ${numbers} select ${prefix} || n, payload
    from numbers, fanout_payloads where job_id = 'x'`
  yield* sql`insert into fanout_jobs (id, name, version, parent_id, parent_name, parent, active_parent, priority, tag,
      request, state, lease_token, lease, token, owners_lost, created_at, updated_at, available_at, revision, progress)
    ${numbers} select ${prefix} || n, name, version, parent_id, parent_name || n,
      json_set(parent, '$.name', parent_name || n), active_parent, priority, tag, request, state, lease_token, lease,
      token, owners_lost, created_at, updated_at, available_at, revision, progress
    from numbers, fanout_jobs where id = 'x'`
})

/** A store that notes what it is asked. */
const watching = (store: JobStore.JobStore["Service"]) => {
  const asked: Array<string> = []
  const read: Array<JobId.JobId> = []
  const excepted = { most: 0 }
  const due: typeof store.due = (filter) => {
    excepted.most = Math.max(excepted.most, Array.from(filter.except).length)
    return Effect.tap(store.due(filter), (due) => Effect.sync(() => read.push(...due.map(({ id }) => id))))
  }
  const watched = new Proxy({ ...store, due }, {
    get: (target, name, receiver) => {
      const method: unknown = Reflect.get(target, name, receiver)
      return typeof method !== "function" ? method : (...args: ReadonlyArray<unknown>) => {
        asked.push(String(name))
        return method(...args)
      }
    }
  })
  return { asked, excepted, read, watched }
}

describe("nothing starves", () => {
  it.effect.prop(
    "a row with a broken cell holds back no other one, is told once, with its id, and listed",
    {
      as: Schema.Literals(["queued", "running", "cancelled", "child"]),
      cell: Schema.Union(
        Object.entries(columns).map(([column, values]) =>
          Schema.Struct({ column: Schema.Literal(column), value: Schema.Literals(values) })
        )
      )
    },
    ({ as, cell: { column, value } }) =>
      holdsBackNobody(as, column, value, false).pipe(Effect.provide(Layer.fresh(sqlite))),
    { arbitrary: { runs: runs(60) } }
  )

  it.effect.each(unreadable)(
    "a row whose %s is %s is listed as one that can't be read",
    ([column, value]) => holdsBackNobody("queued", column, value, true).pipe(Effect.provide(sqlite))
  )

  const many = runs(1000)
  it.effect(
    `${4 * many} rows that can't be read hold back no other one, wherever they are looked for`,
    () =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        const sql = yield* SqlClient
        for (const [as, job] of Object.entries(rows)) {
          yield* store.insert(job)
          yield* copies(many, as)
          yield* sql`delete from fanout_jobs where id = 'x'`
          yield* sql`delete from fanout_payloads where job_id = 'x'`
        }
        yield* sql`update fanout_jobs set limits = '{"concurrency":0}'`
        for (const [as, { job }] of Object.entries(others)) yield* store.insert(job.with({ id: id(as) }))

        const { lines, result: { jobs } } = yield* warned(Effect.tap(
          process([Short], program, { leaseTtl: 1000 }),
          // One look takes longer than the clock waits for.
          () => Effect.repeat(TestClock.adjust("100 millis"), { times: 60 })
        ))

        for (const [as, { ends }] of Object.entries(others)) assert.strictEqual(yield* tagOf(as), ends)
        assert.strictEqual((yield* jobs.unreadable({ limit: 5 })).length, 4 * many)
        assert.deepStrictEqual(new Set(lines).size, lines.length)
        assert.strictEqual(lines.filter((line) => line.includes("it can't be read: ")).length, 4 * many)
      }).pipe(Effect.provide(sqlite))
  )

  it.effect("a process whose row can't be read keeps no other one from claiming jobs", () =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      const sql = yield* SqlClient
      yield* sql`insert into fanout_claimers ${sql.insert({ owner: "{}", names: "?", places: 4, until: 1e15 })}`
      yield* store.insert(short("other"))

      const { lines } = yield* warned(Effect.andThen(process([Short], program), TestClock.adjust("3 seconds")))

      assert.strictEqual(yield* tagOf("other"), "Completed")
      assert.match(lines.join(), /^The process {} is left as it is: it can't be read: /)
      assert.lengthOf(lines, 1)
      assert.lengthOf(yield* store.claimers, 1)
    }).pipe(Effect.provide(Layer.fresh(sqlite))))

  it.effect(
    "ten thousand jobs of other programs hold back no other one, and are not read",
    () =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        yield* store.insert(short("x", { name: "test/Other", priority: 5 }))
        yield* copies(10_000)
        yield* store.insert(short("other"))
        const { asked, watched } = watching(store)
        yield* Effect.provideService(process([Short], program), JobStore.JobStore, watched)

        yield* TestClock.adjust("1 second")

        assert.strictEqual(yield* tagOf("other"), "Completed")
        assert.strictEqual(asked.filter((name) => name === "due").length, 1)
      }).pipe(Effect.provide(sqlite))
  )

  const Lifted = Job.make(Short.name, {
    payload: Schema.Json,
    version: 2,
    migrations: {
      1: {
        payload: (payload) => {
          if (payload === "unliftable") throw new Error("unliftable")
          return payload
        }
      }
    }
  })

  it.effect(
    "more jobs than are remembered, whose payload can't be lifted, hold back no other one",
    () =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        yield* store.insert(short("x", { payload: "unliftable", priority: 5 }))
        yield* copies(10_500)
        yield* store.insert(short("other"))
        const { excepted, watched } = watching(store)

        const { lines } = yield* warned(Effect.andThen(
          Effect.provideService(process([Lifted], Lifted.toLayer(() => Effect.void)), JobStore.JobStore, watched),
          // One look takes longer than the clock waits for.
          Effect.repeat(Effect.andThen(TestClock.adjust(1), tagOf("other")), {
            until: (tag) => tag === "Completed",
            times: 1000
          })
        ))

        assert.strictEqual(yield* tagOf("other"), "Completed")
        assert.isAtMost(excepted.most, 10_001)
        assert.deepStrictEqual(new Set(lines).size, lines.length)
      }).pipe(Effect.provide(sqlite))
  )

  it.effect.each([["memory", MemoryJobStore.layer], ["SQLite", sqlite]] as const)(
    "jobs whose payload can't be lifted are told once, and read again once a minute (%s)",
    ([, layer]) =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        for (let n = 0; n < 100; n++) {
          yield* store.insert(short(`${n}`, { payload: "unliftable", priority: 5 }))
        }
        yield* store.insert(short("other"))
        const { read, watched } = watching(store)

        const { lines } = yield* warned(Effect.gen(function*() {
          yield* Effect.provideService(process([Lifted], Lifted.toLayer(() => Effect.void)), JobStore.JobStore, watched)
          yield* TestClock.adjust("1 second")
          assert.strictEqual(yield* tagOf("other"), "Completed")
          yield* TestClock.adjust("50 seconds")
          assert.strictEqual(read.length, 101)
          yield* TestClock.adjust("20 seconds")
          assert.strictEqual(read.length, 201)
        }))

        assert.strictEqual(lines.length, 100)
      }).pipe(Effect.provide(Layer.fresh<JobStore.JobStore, JobStoreError, never>(layer)))
  )

  it.effect("schedules that can't be read or run hold back no other one", () =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      const sql = yield* SqlClient
      const put = (name: string, fields: Parameters<typeof Records.schedule>[1]) =>
        store.putSchedule(
          Records.schedule(name, { job: Short.name, payload: null, cron: "* * * * *", nextAt: 0, ...fields }),
          []
        )
      for (let n = 0; n < 150; n++) {
        yield* put(`never ${n}`, { cron: "no cron" })
        yield* put(`broken ${n}`, {})
      }
      yield* sql`update fanout_schedules set schedule = '{}' where name like 'broken%'`
      yield* store.insert(short("x", { exclusiveKey: Option.some("key") }))
      yield* sql`update fanout_jobs set limits = '{"concurrency":0}'`
      yield* put("taken", { exclusiveKey: Option.some("key") })
      yield* put("other", {})

      const { lines } = yield* warned(Effect.gen(function*() {
        const { jobs } = yield* process([Short], program)
        yield* Effect.repeat(TestClock.adjust("100 millis"), { times: 20 })
        assert.deepStrictEqual((yield* jobs.list()).map(({ state }) => state._tag), ["Completed"])
      }))

      const told = (start: string) => lines.filter((line) => line.startsWith(start)).length
      assert.deepStrictEqual([told("Schedule \"never"), told("Schedule \"broken"), told("Schedule \"taken")], [
        150,
        150,
        1
      ])
      assert.strictEqual((yield* store.schedules).length, 152)
    }).pipe(Effect.provide(sqlite)), 180_000)
})

describe("a manager", () => {
  it.effect("that claims nothing asks nothing by itself, until it is given a job to claim", () =>
    Effect.gen(function*() {
      const { asked, watched } = watching(yield* JobStore.JobStore)
      const { jobs } = yield* Effect.provideService(
        process([Short], program, { claim: "none" }),
        JobStore.JobStore,
        watched
      )
      yield* TestClock.adjust("10 seconds")
      const { id } = yield* jobs.start(Short, null)
      yield* TestClock.adjust("10 seconds")

      assert.deepStrictEqual(asked, ["insert"])
      yield* jobs.claim(id)
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* jobs.get(id)).state._tag, "Completed")
    }).pipe(Effect.provide(MemoryJobStore.layer)))

  it.effect.each([["memory", MemoryJobStore.layer], ["SQLite", sqlite]] as const)(
    "asks once for each look where there is nothing to do, and no more than it takes to run a job (%s)",
    ([, layer]) =>
      Effect.gen(function*() {
        const store = yield* JobStore.JobStore
        // What others have: jobs that this one has no program for, and one that is not due.
        yield* store.insert(short("unknown", { name: "test/Other" }))
        const { asked, watched } = watching(store)
        const { jobs } = yield* Effect.provideService(process([Short], program), JobStore.JobStore, watched)
        yield* TestClock.adjust("10 seconds")
        const looks = asked.filter((name) => name === "look").length
        // It tells the others of itself three times in the time of a lease.
        assert.deepStrictEqual(asked.filter((name) => name !== "look"), ["announce", "announce", "announce"])
        assert.isAtMost(looks, 51)
        asked.length = 0

        yield* jobs.start(Short, null)
        yield* TestClock.adjust("199 millis")

        assert.deepStrictEqual(asked.slice(0, 4), ["insert", "look", "due", "put"])
        assert.deepStrictEqual(asked.slice(4).filter((name) => name === "look" || name === "due"), ["look"])
      }).pipe(Effect.provide(Layer.fresh<JobStore.JobStore, JobStoreError, never>(layer)))
  )

  it.effect("goes on with a job of its own whose row can't be read, tells why, and obeys once it can be", () =>
    Effect.gen(function*() {
      const sql = yield* SqlClient
      const store = yield* JobStore.JobStore
      yield* store.insert(short("x"))
      const beat = Effect.map(sql`select beat from fanout_jobs`, ([row]) => Number(row?.["beat"]))

      const { lines } = yield* warned(Effect.gen(function*() {
        const { jobs } = yield* process([Short], patient, { leaseTtl: 6000 })
        yield* TestClock.adjust("1 second")
        yield* sql`update fanout_jobs set limits = '{"concurrency":0}', request = 'Pause'`
        const before = yield* beat
        // Small steps, since the lease is lost of a fiber that the clock runs away from.
        yield* Effect.repeat(TestClock.adjust("100 millis"), { times: 90 })
        assert.isAtLeast((yield* beat) - before, 4)
        yield* sql`update fanout_jobs set limits = '{}'`
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* jobs.get(id("x"))).state._tag, "Paused")
      }))

      assert.strictEqual(lines.length, 1)
      assert.match(
        lines[0] ?? "",
        /^Job x is out of touch with its store: .*asked of job x: .*equal to 1 at .*concurrency/
      )
    }).pipe(Effect.provide(sqlite)))

  it.effect("says what the renewal of a lease died of, and stops the job", () =>
    Effect.gen(function*() {
      const store = yield* JobStore.JobStore
      yield* store.insert(short("x"))
      let stopped = false
      const dying: typeof store = { ...store, requested: () => Effect.die(new Error("no such thing")) }

      const { lines } = yield* warned(Effect.gen(function*() {
        const stopping = Effect.sync(() => {
          stopped = true
        })
        const programs = Short.toLayer(() => Effect.ensuring(waits, stopping))
        yield* Effect.provideService(process([Short], programs), JobStore.JobStore, dying)
        yield* TestClock.adjust("2 seconds")
      }))

      assert.isTrue(stopped)
      assert.match(lines[0] ?? "", /^Job x can't keep its lease any more.*no such thing/s)
    }).pipe(Effect.provide(MemoryJobStore.layer)))
})
