import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import * as JobId from "@fanout/core/JobId"
import * as JobManager from "@fanout/core/JobManager"
import type { Tick } from "@fanout/core/JobSchedule"
import type { JobState } from "@fanout/core/JobState"
import { type JobRecord, JobStore } from "@fanout/core/JobStore"
import { JobStoreError, StorageFailure } from "@fanout/core/JobStoreError"
import { JobTasks } from "@fanout/core/JobTasks"
import * as MemoryJobStore from "@fanout/core/MemoryJobStore"
import * as OwnerLiveness from "@fanout/core/OwnerLiveness"
import * as Pools from "@fanout/core/Pools"
import * as Progress from "@fanout/core/Progress"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { IncomingHttpHeaders } from "node:http"
import { schedule } from "../../core/test/JobStoreRecords.ts"
import { onStores } from "../../core/test/stores.ts"
import type * as Api from "../src/api/Api.ts"
import * as ApiRows from "../src/api/ApiRows.ts"
import * as ChangeEvents from "../src/api/ChangeEvents.ts"
import * as Guard from "../src/api/Guard.ts"
import * as Handlers from "../src/api/Handlers.ts"
import { ServerProgram } from "../src/api/ServerProgram.ts"
import * as Mount from "../src/Mount.ts"
import { clientOf } from "./apiClient.ts"
import { counters, record } from "./records.ts"

class Bad extends Schema.TaggedError<Bad>("test/Bad")("Bad", { code: Schema.String }) {
  override get message(): string {
    return `it is ${this.code}`
  }
}

const Letters = Job.make("letters", { payload: Schema.Struct({ count: Schema.Int }) })

const Send = Task.make("test/Send", { payload: Schema.Int, error: Bad, key: (n) => `${markup}\u001b[31m${n}` })

/** A name as somebody might choose it. */
const markup = "<img src=x onerror=alert(1)>"

/** Fails for every second one, each third of these with another code. */
const sender = RpcGroup.make(Send).toLayer({
  "test/Send": (n) =>
    n % 2 === 0 ? Progress.add("bytes", 10) : Effect.fail(new Bad({ code: n % 3 === 0 ? "EACCES" : "ENOENT" }))
})

const letters = Letters.toLayer(({ count }) =>
  TaskDispatcher.use(({ fanOut }) =>
    fanOut("all", Send, Source.fromIterable(Array.from({ length: count }, (_, n) => n)))
  )
    .pipe(Effect.asVoid)
).pipe(Layer.provide(sender))

const carriedOut: Array<string> = []

const host = (isReadOnly = false) =>
  Layer.sync(ServerProgram, () => ({
    about: { version: "1.2.3", database: "here", isReadOnly, works: false, note: "note" },
    knowledge: {
      title: ({ name }: JobRecord) => `do ${name}`,
      field: ({ name }: JobRecord) => ["does", name] as const,
      scheduled: ({ job }) => ({ what: `do ${job}`, command: `fanout ${job}`, folder: "/home" }),
      hasCode: (name) => name === "delete"
    },
    examination: Effect.succeed({ checks: [{ what: "Node", state: "ok" as const, found: "24" }], pools: [] }),
    carryOut: (ids) => Effect.sync(() => void carriedOut.push(...ids))
  }))

const memory = Layer.fresh(MemoryJobStore.layer)

const manager = (store: Layer.Layer<JobStore, JobStoreError>) =>
  JobManager.layer({ jobs: [Letters] }).pipe(
    Layer.provide([letters, Pools.layer(), OwnerLiveness.layerBlind]),
    Layer.provideMerge(Layer.orDie(store))
  )

const client = clientOf(Handlers.layer)

const ids = ({ body }: { readonly body: { readonly jobs: ReadonlyArray<Api.JobRow> } }) => body.jobs.map(({ id }) => id)

const put = Effect.fnUntraced(function*(...records: ReadonlyArray<JobRecord>) {
  const store = yield* JobStore
  for (const one of records) yield* store.insert(one)
})

const job = (id: string, state: JobState, fields?: Partial<JobRecord>) =>
  record(state, { id: JobId.make(id), name: "other", revision: 0, ...fields })

const queued: JobState = { _tag: "Queued", ...counters }
const failed: JobState = { _tag: "Failed", ...counters }
const paused: JobState = { _tag: "Paused", by: "person", ...counters }
const done: JobState = { _tag: "Completed", ...counters }

const suite = (name: string, store: Layer.Layer<JobStore, JobStoreError>) =>
  describe(`on ${name}`, () => {
    const live = <A, E>(
      test: Effect.Effect<A, E, JobManager.JobManager | JobStore | ServerProgram | Scope.Scope>
    ) => Effect.provide(test, [manager(store), host()])

    it.effect("lists jobs page by page, the newest first, with the numbers of all", () =>
      live(Effect.gen(function*() {
        const { get } = yield* client
        // Two of the same time: what is last on a page is told by more than its time.
        yield* put(
          ..."abcdefg".split("").map((id, n) =>
            job(id, n < 2 ? failed : done, { createdAt: Math.floor(n / 2), finishedAt: Option.some(n) })
          )
        )
        const seen: Array<string> = []
        let next: string | null = ""
        let pages = 0
        while (next !== null) {
          const found: Effect.Success<ReturnType<typeof get>> = yield* get(
            `/api/jobs?limit=3${next === "" ? "" : `&before=${encodeURIComponent(next)}`}`
          )
          assert.deepStrictEqual(found.body.counts, { Failed: 2, Completed: 5 })
          seen.push(...ids(found))
          next = found.body.next
          pages++
        }
        assert.strictEqual(pages, 3)
        const all = yield* get("/api/jobs")
        assert.deepStrictEqual(seen, ids(all))
        assert.deepStrictEqual(seen.toSorted(), [..."abcdefg"])
        assert.strictEqual(seen[0], "g")
        assert.isNull((yield* get("/api/jobs?limit=7")).body.next)
        assert.deepStrictEqual(ids(yield* get("/api/jobs?before=nonsense")), [])
      })))

    it.effect("filters by state, name, tag, parent, schedule, time and how an id begins", () =>
      live(Effect.gen(function*() {
        const { get } = yield* client
        yield* put(
          job("a1", paused, { tags: ["home"], createdAt: 1 }),
          job("a2", failed, { createdAt: 2 }),
          job("b1", done, { name: "x & y", createdAt: 3 }),
          job("b2", done, { scheduled: Option.some({ schedule: "nightly", at: 4 }), createdAt: 4 })
        )
        const filters = {
          "state=Paused": ["a1"],
          "state=Paused&state=Failed": ["a2", "a1"],
          "name=x%20%26%20y": ["b1"],
          "name=x%20%26%20y&name=other": ["b2", "b1", "a2", "a1"],
          "tag=home": ["a1"],
          "schedule=nightly": ["b2"],
          "since=3": ["b2", "b1"],
          "idPrefix=a": ["a2", "a1"],
          "idPrefix=a&state=Failed": ["a2"],
          "parent=a1": []
        }
        for (const [query, expected] of Object.entries(filters)) {
          assert.deepStrictEqual(ids(yield* get(`/api/jobs?${query}`)), expected, query)
        }
        for (const query of ["state=Odd", "limit=0", "limit=201", "limit=x", "since=soon"]) {
          const { body, status } = yield* get(`/api/jobs?${query}`)
          assert.deepInclude({ ...body, status }, { status: 400, _tag: "BadRequest" }, query)
          assert.include(body.message, "Query: ")
        }
      })))

    it.effect("answers numbers that are none, or out of place, with 400 and a sentence, and stores nothing", () =>
      live(Effect.gen(function*() {
        const { get, post } = yield* client
        yield* put(job("a", paused, { name: "delete" }))
        const before = [(yield* get("/api/jobs/a")).body, (yield* get("/api/limits")).body]
        const odd = ["NaN", "Infinity", "1e999", "0x10", "", "x", "-1", "1.5", "1e300", "9007199254740993"]
        // Any time can be compared with.
        const asked = { limit: [], after: [], since: ["-1", "1.5", "1e300", "9007199254740993"] }
        for (
          const [path, name] of [
            ["/api/jobs", "limit"],
            ["/api/jobs", "since"],
            ["/api/jobs/a/children", "limit"],
            ["/api/jobs/a/items", "limit"],
            ["/api/jobs/a/items", "after"],
            ["/api/jobs/a/log", "after"],
            ["/api/schedules", "limit"]
          ] as const
        ) {
          const taken: ReadonlyArray<string> = asked[name]
          for (const text of odd) {
            const { body, status } = yield* get(`${path}?${name}=${text}`)
            assert.strictEqual(status, taken.includes(text) ? 200 : 400, `${path} ${name} ${text}`)
            if (status === 400) assert.match(body.message, new RegExp(`^Query: [^]*"${name}"`))
          }
        }
        const bodies: ReadonlyArray<readonly [path: string, body: (number: string) => string, taken?: string]> = [
          ["/api/jobs/a/settings", (n) => `{"concurrency":${n}}`],
          ["/api/jobs/a/settings", (n) => `{"bytesPerSecond":${n}}`, "1.5"],
          ["/api/jobs/a/retry", (n) => `{"elements":[${n}]}`],
          ["/api/limits", (n) => `{"kind":"jobs","name":"x","most":${n}}`],
          ["/api/limits", (n) => `{"kind":"rate","name":"x","most":${n}}`, "1.5"]
        ]
        for (const [path, bodyOf, taken] of bodies) {
          for (const number of ["-1", "1.5", "1e300", "1e999", "9007199254740994", `"1"`, `"NaN"`]) {
            if (number === taken) continue
            const { status } = yield* post(path, bodyOf(number))
            assert.strictEqual(status, 400, `${path} ${bodyOf(number)}`)
          }
        }
        assert.deepStrictEqual([(yield* get("/api/jobs/a")).body, (yield* get("/api/limits")).body], before)
      })))

    it.effect("tells all of a job: what it has come to, its causes, its elements and its log", () =>
      live(Effect.gen(function*() {
        const { get } = yield* client
        const { start } = yield* JobManager.JobManager
        const { id } = yield* start(Letters, { count: 60 }, { tags: ["spring"] })
        yield* settle
        yield* TestClock.adjust("2 seconds")
        const { body } = yield* get(`/api/jobs/${id}`)
        assert.isNull(body.error)
        assert.deepInclude(body, {
          id,
          title: "do letters",
          state: "CompletedWithErrors",
          stateText: "some failed",
          standing: "done, some failed",
          what: ["does", "letters"],
          actions: ["retry"],
          tags: ["spring"],
          priority: "normal",
          limits: { concurrency: null, bytesPerSecond: null },
          hasCode: false,
          isThrottled: true,
          payload: { count: 60 }
        })
        assert.deepStrictEqual(body.commands, [
          `fanout jobs retry ${id}`,
          `fanout jobs show ${id}`,
          `fanout jobs logs ${id}`
        ])
        assert.deepInclude(body.progress, {
          done: 30,
          failed: 30,
          causes: { EACCES: 10, ENOENT: 20 },
          units: { bytes: 300 }
        })
        assert.deepStrictEqual(ids(yield* get("/api/jobs")), [id])

        const seen: Array<Api.Item> = []
        for (let next: number | null = 0; next !== null;) {
          const found: Effect.Success<ReturnType<typeof get>> = yield* get(
            `/api/jobs/${id}/items?cause=ENOENT&limit=7&after=${next}`
          )
          seen.push(...found.body.items)
          next = found.body.next
        }
        assert.lengthOf(seen, 20)
        assert.deepStrictEqual(seen.map(({ seq }) => seq), seen.map(({ seq }) => seq).toSorted((a, b) => a - b))
        // What a browser would obey stays text; what a terminal would obey is spelled out.
        const [first] = seen
        assert.deepInclude(first, {
          outcome: "Failed",
          cause: "ENOENT",
          message: "it is ENOENT",
          count: 1,
          fanOut: "all"
        })
        assert.strictEqual(first?.key, `${markup}\\x1b[31m1`)
        assert.lengthOf((yield* get(`/api/jobs/${id}/items`)).body.items, 30)
        assert.lengthOf((yield* get(`/api/jobs/${id}/items?outcome=Skipped&outcome=Done`)).body.items, 0)

        const log: ReadonlyArray<Api.LogLine> = (yield* get(`/api/jobs/${id}/log`)).body
        assert.deepStrictEqual((yield* get(`/api/jobs/${id}/log?after=${log[0]?.seq ?? 0}`)).body, log.slice(1))
        assert.hasAllKeys((yield* get(`/api/jobs/${id}/history`)).body, [
          "everyMillis",
          "at",
          "items",
          "failed",
          "bytes",
          "tasks",
          "marks"
        ])
        for (const path of ["", "/history", "/tasks", "/items", "/log"]) {
          const { body, status } = yield* get(`/api/jobs/nope${path}`)
          assert.deepInclude({ ...body, status }, { status: 404, _tag: "NotFound" })
        }
      })))

    it.effect("tells how long tasks waited and ran, and what pools, threads and workers a live process has", () =>
      live(Effect.gen(function*() {
        const { get } = yield* client
        const store = yield* JobStore
        const lease = Option.some({
          token: 1,
          owner: new OwnerLiveness.Owner({ machine: "m", boot: "", process: "7-a" })
        })
        yield* put(job("a", { _tag: "Running", ...counters }, { token: 1, lease }))
        const nothing = { kinds: [], pools: [], threads: [], workers: [] }
        const before = (yield* get("/api/jobs/a/tasks")).body
        assert.lengthOf(before.upperMillis, 47)
        assert.deepInclude(before, nothing)
        const process = { process: "7-a", machine: "m", jobs: ["a"] }
        assert.deepStrictEqual((yield* get("/api/processes")).body, [{
          ...process,
          pools: [],
          threads: [],
          workers: []
        }])

        const pool = { name: markup, size: 2, held: 2, waiting: 9, bounds: { least: 1, most: 8 } }
        const counts = { size: 2, alive: 2, busy: 1, queued: 3, ended: 4, lost: 1, abandoned: 0 }
        const slow = [...Array<number>(47).fill(0), 1]
        const worker = { _tag: "Connected" as const, address: "b:1", since: 1, inHand: 3, ended: 4, perSecond: 2.5 }
        const heard = { greetingMillis: 4, silentMillis: 1000, isLeaving: false }
        const refuses = (why: string) => [["hash", why] as const]
        yield* store.saveTasks(
          JobId.make("a"),
          1,
          new JobTasks({
            token: 1,
            kinds: [{ name: `${markup}\u001b`, waiting: [90, 10], running: slow }],
            pools: [pool],
            threads: [{ name: "hash", ...counts }],
            workers: [
              { _tag: "Connecting", address: "a:1\u001b" },
              { ...worker, ...heard, refuses: refuses(`${markup}\u202e`) },
              { _tag: "Unusable", address: "c:1", why: "gone\n" }
            ]
          })
        )
        const { kinds, pools, threads, workers } = (yield* get("/api/jobs/a/tasks")).body
        assert.deepStrictEqual(kinds, [{
          name: `${markup}\\x1b`,
          attempts: 1,
          waiting: { counts: [90, 10], p50: 0.1, p95: 0.1 * Math.SQRT2, p99: 0.1 * Math.SQRT2 },
          running: { counts: slow, p50: null, p95: null, p99: null }
        }])
        assert.deepStrictEqual([pools, threads], [[pool], [{ name: "hash", ...counts }]])
        const silent = { since: null, inHand: null, ended: null, perSecond: null, greetingMillis: null }
        const unheard = { ...silent, silentMillis: null, isLeaving: false, refuses: [] }
        const why = `${markup}\\u202e`
        const { _tag, ...figures } = worker
        assert.deepStrictEqual(workers, [
          { address: "a:1\\x1b", state: "connecting", stateText: "has not answered yet", ...unheard },
          {
            ...figures,
            ...heard,
            state: "connected",
            stateText: `answered in 4 ms, does not take hash (${why})`,
            refuses: [{ task: "hash", why }]
          },
          { address: "c:1", state: "unusable", stateText: "gone\\n", ...unheard }
        ])
        assert.deepStrictEqual((yield* get("/api/processes")).body, [{ ...process, pools, threads, workers }])

        // Those of an owner before say nothing of the process that runs it now.
        yield* store.saveTasks(
          JobId.make("a"),
          1,
          new JobTasks({ token: 0, kinds: [], pools: [pool], threads: [], workers: [] })
        )
        assert.deepInclude((yield* get("/api/jobs/a/tasks")).body, nothing)
        assert.deepInclude((yield* get("/api/processes")).body[0], { pools: [] })
      })))

    it.effect("asks the same of several jobs, and tells which refuse", () =>
      live(Effect.gen(function*() {
        const { get, post } = yield* client
        yield* put(job("a", queued), job("b", done, { finishedAt: Option.some(0) }), job("c", queued))
        carriedOut.length = 0
        const { body, status } = yield* post("/api/jobs/actions", { action: "pause", ids: ["a", "b", "nope", "c"] })
        assert.strictEqual(status, 200)
        assert.deepStrictEqual(body, [
          { id: "a", refused: null },
          { id: "b", refused: "Job b is Completed: it can't be paused" },
          { id: "nope", refused: "No job has the id \"nope\"" },
          { id: "c", refused: null }
        ])
        assert.deepStrictEqual(carriedOut, ["a", "c"])
        const rows: ReadonlyArray<Api.JobRow> = (yield* get("/api/jobs?state=Paused")).body.jobs
        assert.deepStrictEqual(rows.map(({ actions, pausedBy }) => ({ actions, pausedBy })), [
          { actions: ["resume", "cancel"], pausedBy: "person" },
          { actions: ["resume", "cancel"], pausedBy: "person" }
        ])
        yield* post("/api/jobs/actions", { action: "resume", ids: ["a"] })
        assert.deepStrictEqual(ids(yield* get("/api/jobs?state=Queued")), ["a"])
        yield* post("/api/jobs/actions", { action: "cancel", ids: ["a", "c"] })
        assert.strictEqual((yield* get("/api/jobs")).body.counts.Cancelled, 2)
        for (
          const wrong of [
            { action: "pause", ids: [] },
            { action: "pause", ids: Array.from({ length: 1001 }, String) },
            { action: "explode", ids: ["a"] },
            "{"
          ]
        ) assert.strictEqual((yield* post("/api/jobs/actions", wrong)).status, 400)
      })))

    it.effect("tries chosen elements again, or those of a cause, and leaves all others failed", () =>
      live(Effect.gen(function*() {
        const { get, post } = yield* client
        const { start } = yield* JobManager.JobManager
        const { id } = yield* start(Letters, { count: 12 })
        yield* settle
        yield* TestClock.adjust("2 seconds")
        const items = Effect.map(
          get(`/api/jobs/${id}/items`),
          ({ body }): ReadonlyArray<Api.Item> => body.items
        )
        const before = yield* items
        assert.lengthOf(before, 6)
        const elements = before.slice(1, 3).map(({ seq }) => seq)
        assert.strictEqual((yield* post(`/api/jobs/${id}/retry`, { elements })).status, 204)
        yield* TestClock.adjust("2 seconds")
        const after = yield* items
        assert.deepStrictEqual(after.map(({ attempt }) => attempt), [1, 1, 1, 1, 2, 2])
        assert.deepStrictEqual(after.slice(0, 4), before.filter(({ seq }) => !elements.includes(seq)))

        assert.strictEqual((yield* post(`/api/jobs/${id}/retry`, { cause: "EACCES" })).status, 204)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual((yield* items).map(({ attempt, cause }) => `${cause} ${attempt}`).toSorted(), [
          "EACCES 3",
          "EACCES 3",
          "ENOENT 1",
          "ENOENT 1",
          "ENOENT 1",
          "ENOENT 2"
        ])

        const gone = yield* post(`/api/jobs/${id}/retry`, { elements })
        assert.deepInclude({ ...gone.body, status: gone.status }, { status: 409, _tag: "Refused" })
        assert.include(gone.body.message, `with the numbers: ${elements.join(", ")}`)
        assert.strictEqual((yield* post(`/api/jobs/${id}/retry`, { cause: "others" })).status, 409)
        assert.strictEqual((yield* post("/api/jobs/nope/retry", { cause: "EACCES" })).status, 404)
        const tooMany = Array.from({ length: 1001 }, (_, n) => n)
        for (const wrong of [{}, { elements: [] }, { elements: tooMany }, { elements: [-1] }, { cause: 1 }, "{"]) {
          assert.strictEqual((yield* post(`/api/jobs/${id}/retry`, wrong)).status, 400, JSON.stringify(wrong))
        }
      })))

    it.effect("shows the tree of jobs level by level, each with numbers by state", () =>
      live(Effect.gen(function*() {
        const { get } = yield* client
        const below = (id: string) => ({
          parent: Option.some({ id: JobId.make(id), name: `child ${Math.random()}`, attempt: 1, tries: 0 })
        })
        yield* put(
          job("top", paused, { createdAt: 0 }),
          ...["a", "b", "c"].map((id, n) => job(id, n === 0 ? failed : done, { ...below("top"), createdAt: n })),
          ...["b1", "b2"].map((id, n) => job(id, queued, { ...below("b"), createdAt: n }))
        )
        const first: Api.ChildPage = (yield* get("/api/jobs/top/children?limit=2")).body
        assert.deepStrictEqual(first.counts, { Failed: 1, Completed: 2 })
        assert.deepStrictEqual(ids({ body: first }), ["c", "b"])
        assert.deepStrictEqual(first.jobs.map(({ children }) => children), [{}, { Queued: 2 }])
        const second: Api.ChildPage =
          (yield* get(`/api/jobs/top/children?before=${encodeURIComponent(first.next ?? "")}`)).body
        assert.deepStrictEqual([ids({ body: second }), second.next], [["a"], null])
        assert.deepStrictEqual(ids(yield* get("/api/jobs/b/children")), ["b2", "b1"])
        assert.deepStrictEqual(ids(yield* get("/api/jobs/top/children?state=Failed")), ["a"])
        assert.deepStrictEqual((yield* get("/api/jobs/a/children")).body, { jobs: [], next: null, counts: {} })
        assert.strictEqual((yield* get("/api/jobs/nope/children")).status, 404)
      })))

    it.effect("shows schedules, pauses and resumes them, runs them at once, and removes them", () =>
      live(Effect.gen(function*() {
        const { get, post } = yield* client
        const { schedule } = yield* JobManager.JobManager
        const name = "a/b %\u202e"
        yield* schedule(Letters, { count: 2 }, { name, cron: "0 3 * * *", overlap: "skip", failures: 2 })
        for (const other of ["b", "c"]) yield* schedule(Letters, { count: 0 }, { name: other, cron: "@hourly" })
        const one = Effect.map(
          get(`/api/schedules/${encodeURIComponent(name)}`),
          ({ body }): Api.Schedule => body
        )
        const ask = (action: string, ...names: ReadonlyArray<string>) =>
          post("/api/schedules/actions", { action, names })
        const hour = 3_600_000
        assert.deepStrictEqual(yield* one, {
          name,
          what: "do letters",
          command: "fanout letters",
          folder: "/home",
          when: "every day at 03:00",
          cron: "0 3 * * *",
          timeZone: "UTC",
          state: "on",
          stateText: "on",
          next: [0, 1, 2, 3, 4].map((day) => (3 + 24 * day) * hour),
          lastAt: null,
          last: null,
          missed: "the latest one is made up for",
          overlap: "is left out while the one before is not over",
          jitterMillis: 0,
          failures: 2,
          pausedAt: null,
          job: "letters",
          hasCode: false
        })
        const first: Api.SchedulePage = (yield* get("/api/schedules?limit=2")).body
        assert.deepStrictEqual(first.schedules.map(({ name, next }) => [name, next.length]), [[name, 1], ["b", 1]])
        const second: Api.SchedulePage = (yield* get(`/api/schedules?after=${first.next}`)).body
        assert.deepStrictEqual([second.schedules.map(({ name }) => name), second.next], [["c"], null])

        assert.deepStrictEqual((yield* ask("pause", name, "nope", "b")).body, [
          { name, refused: null, job: null },
          { name: "nope", refused: "There is no schedule \"nope\"", job: null },
          { name: "b", refused: null, job: null }
        ])
        assert.deepInclude(yield* one, { state: "paused", stateText: "paused", pausedAt: 0 })
        const [{ job: id }] = (yield* ask("run", name)).body
        yield* settle
        yield* TestClock.adjust("2 seconds")
        assert.deepInclude(yield* one, {
          lastAt: 0,
          last: { id, state: "CompletedWithErrors", stateText: "some failed", isOwnerDead: false, error: null }
        })
        assert.deepStrictEqual(ids(yield* get(`/api/jobs?schedule=${encodeURIComponent(name)}`)), [id])
        yield* ask("resume", name)
        assert.deepInclude(yield* one, { state: "on", pausedAt: null })
        assert.isNull((yield* ask("remove", name)).body[0].refused)
        assert.isNotNull((yield* ask("remove", name)).body[0].refused)
        assert.isNotNull((yield* ask("run", name)).body[0].refused)
        const none = yield* get("/api/schedules/nope")
        assert.deepInclude({ ...none.body, status: none.status }, { status: 404, _tag: "NotFound" })
        const tooMany = Array.from({ length: 1001 }, String)
        for (
          const wrong of [{ action: "run", names: [] }, { action: "run", names: tooMany }, {
            action: "x",
            names: ["b"]
          }]
        ) {
          assert.strictEqual((yield* post("/api/schedules/actions", wrong)).status, 400)
        }
      })))

    it.effect("tells of a schedule that waits, and starts nothing beside its job that is not over", () =>
      live(Effect.gen(function*() {
        const { get, post } = yield* client
        const { schedule } = yield* JobManager.JobManager
        // Nobody is there who could run it.
        const Strange = Job.make("strange", { payload: Schema.Void })
        yield* schedule(Strange, undefined, { name: "late", cron: "* * * * *", overlap: "queue" })
        yield* TestClock.adjust("2 minutes")
        const { body } = yield* get("/api/schedules/late")
        assert.deepInclude(body, { state: "waiting", stateText: "waits for its job" })
        assert.strictEqual(body.last.state, "Queued")
        assert.deepStrictEqual((yield* post("/api/schedules/actions", { action: "run", names: ["late"] })).body, [
          { name: "late", refused: `Its job ${body.last.id} is not over yet`, job: body.last.id }
        ])
      })))

    it.effect("sets priorities and limits, also of all processes, and forgets jobs that are over", () =>
      live(Effect.gen(function*() {
        const { get, post } = yield* client
        yield* put(
          job("a", paused),
          job("b", paused, { name: "delete" }),
          job("c", done, { finishedAt: Option.some(0) })
        )
        assert.strictEqual(
          (yield* post("/api/jobs/a/settings", { priority: "high", concurrency: 3, bytesPerSecond: 5e6 })).status,
          204
        )
        assert.strictEqual((yield* post("/api/jobs/a/settings", { bytesPerSecond: null })).status, 204)
        assert.deepInclude((yield* get("/api/jobs/a")).body, {
          priority: "high",
          limits: { concurrency: 3, bytesPerSecond: null }
        })
        const refused = yield* post("/api/jobs/b/settings", { bytesPerSecond: 1 })
        assert.deepInclude({ ...refused.body, status: refused.status }, { status: 409, _tag: "Refused" })
        assert.strictEqual((yield* post("/api/jobs/c/settings", { priority: "low" })).status, 409)
        assert.strictEqual((yield* post("/api/jobs/nope/settings", { priority: "low" })).status, 404)
        for (const wrong of [{ concurrency: 0 }, { concurrency: 1.5 }, { bytesPerSecond: -1 }, { priority: "odd" }]) {
          assert.strictEqual((yield* post("/api/jobs/a/settings", wrong)).status, 400)
        }
        assert.deepStrictEqual((yield* get("/api/limits")).body, [])
        const limits = [
          { kind: "jobs", name: "copy", most: 0 },
          { kind: "jobs", name: markup, most: 2 },
          { kind: "rate", name: "copy", most: 0.5 }
        ]
        for (const limit of limits.toReversed()) {
          assert.strictEqual((yield* post("/api/limits", limit)).status, 204)
        }
        assert.sameDeepMembers((yield* get("/api/limits")).body, limits)
        for (const wrong of [{ most: 0.5 }, { most: -1 }, { name: "" }, { kind: "odd" }, { kind: "rate", most: -1 }]) {
          assert.strictEqual((yield* post("/api/limits", { ...limits[0], ...wrong })).status, 400)
        }
        for (const limit of limits) yield* post("/api/limits", { ...limit, most: null })
        assert.deepStrictEqual((yield* get("/api/limits")).body, [])
        yield* TestClock.adjust("4 seconds")
        assert.deepStrictEqual((yield* post("/api/jobs/prune", { olderThanMillis: 7000 })).body, { removed: 0 })
        assert.deepStrictEqual((yield* post("/api/jobs/prune", { olderThanMillis: 1000 })).body, { removed: 1 })
      })))
  })

describe("the API of jobs", () => {
  onStores(suite)

  it.effect("says what serves it, and how it is used", () =>
    Effect.gen(function*() {
      const { get } = yield* client
      assert.deepInclude((yield* get("/api/about")).body, { version: "1.2.3", isReadOnly: false, works: false })
      assert.strictEqual((yield* get("/api/doctor")).body.checks[0].what, "Node")
      assert.deepStrictEqual((yield* get("/api/processes")).body, [])
      const { paths } = (yield* get("/api/openapi.json")).body
      assert.includeMembers(Object.keys(paths), [
        "/api/jobs",
        "/api/jobs/{id}",
        "/api/jobs/{id}/children",
        "/api/jobs/{id}/tasks",
        "/api/jobs/{id}/retry",
        "/api/jobs/actions",
        "/api/schedules",
        "/api/schedules/{name}",
        "/api/schedules/actions",
        "/api/events",
        "/api/limits",
        "/api/processes"
      ])
    }).pipe(Effect.provide([manager(memory), host()])))

  it("says of a schedule that its time has come, or comes never again", () => {
    const of = (nextAt: number, next: ReadonlyArray<Tick>) =>
      ApiRows.schedule(schedule("s", { nextAt }), next, undefined, 1000, ApiRows.nothingElse)
    assert.deepInclude(of(1000, []), { state: "due", stateText: "due now", what: "copy", command: null })
    assert.deepInclude(of(1001, []), { state: "over", stateText: "never", next: [] })
    assert.deepInclude(of(1001, [{ at: 1001, startsAt: 1002 }]), { state: "on", next: [1002] })
  })

  it.effect("is a part of an application, also below a prefix", () =>
    Effect.gen(function*() {
      const { get, post } = yield* clientOf(Mount.layer({ prefix: "/admin/jobs", isReadOnly: true }))
      yield* put(job("a", queued, { payload: { to: markup } }))
      const { jobs } = (yield* get("/admin/jobs/api/jobs?state=Queued")).body
      assert.deepInclude(jobs[0], { id: "a", title: "other" })
      assert.deepInclude((yield* get("/admin/jobs/api/jobs/a")).body, { what: ["payload", `{"to":"${markup}"}`] })
      assert.deepInclude((yield* get("/admin/jobs/api/about")).body, { works: true, isReadOnly: true, note: "" })
      assert.strictEqual((yield* post("/admin/jobs/api/jobs/actions", { action: "pause", ids: ["a"] })).status, 403)
      assert.match((yield* get("/admin/jobs/")).text, /<title>fanout<|^The page is not built/)
    }).pipe(Effect.provide(manager(memory))))

  it("tells the page of another site by what its browser says, also behind a proxy", () => {
    const host = "app.example"
    const sent = (headers: IncomingHttpHeaders) => Guard.isForeign({ host, ...headers })
    for (
      const headers of [
        {},
        { "sec-fetch-site": "none" },
        { "sec-fetch-site": "same-origin", origin: "https://app.example" },
        // The proxy asks under another name, and pages that send no referrer have no origin in forms.
        { "sec-fetch-site": "same-origin", origin: "https://app.example", host: "10.0.0.1:3000" },
        { "sec-fetch-site": "same-origin", origin: "null" },
        // Browsers of before 2023, and all without TLS.
        { origin: "https://app.example" },
        { origin: "http://app.example" }
      ]
    ) assert.isFalse(sent(headers), JSON.stringify(headers))
    for (
      const headers of [
        { "sec-fetch-site": "cross-site" },
        { "sec-fetch-site": "same-site" },
        { "sec-fetch-site": "" },
        { "sec-fetch-site": "same-origin, cross-site" },
        { "sec-fetch-site": "cross-site", origin: "https://app.example" },
        { origin: "null" },
        { origin: "" },
        { origin: "https://evil.example" },
        { origin: "https://app.example.evil.example" },
        { origin: "https://app.example:8443" },
        { origin: "https://evil.example, https://app.example" },
        { origin: "https://app.example", host: "10.0.0.1:3000" },
        { origin: "chrome-extension://app.example" }
      ]
    ) assert.isTrue(sent(headers), JSON.stringify(headers))
  })

  it.effect("changes nothing for the page of another site, whatever type a browser sends", () =>
    Effect.gen(function*() {
      const { get, post, send } = yield* client
      yield* put(job("b", done, { finishedAt: Option.some(0) }))
      yield* JobManager.JobManager.use((_) => _.schedule(Letters, { count: 0 }, { name: "s", cron: "@daily" }))
      yield* TestClock.adjust("4 seconds")
      const requests = {
        "/api/jobs/prune": { olderThanMillis: 0 },
        "/api/jobs/b/retry": { cause: "EACCES" },
        "/api/schedules/actions": { action: "remove", names: ["s"] }
      }
      // Text would be given a type.
      const sent = (headers: Record<string, string>) =>
        Effect.forEach(
          Object.entries(requests),
          ([path, body]) => send(path, { method: "POST", body: new Blob([JSON.stringify(body)]), headers })
        )
      const json = { "content-type": "application/json" }
      for (
        const [headers, status] of [
          [{}, 400],
          [{ "content-type": "text/plain" }, 400],
          [{ ...json, origin: "http://evil.example", host: "127.0.0.1" }, 403],
          [{ ...json, "sec-fetch-site": "cross-site" }, 403],
          [{ ...json, "sec-fetch-site": "same-site" }, 403]
        ] as const
      ) {
        const tag = status === 403 ? "Foreign" : "BadRequest"
        for (const answer of yield* sent(headers)) {
          assert.deepInclude({ ...answer.body, status: answer.status }, { status, _tag: tag })
        }
      }
      assert.strictEqual((yield* get("/api/schedules/s")).status, 200)
      assert.deepStrictEqual((yield* get("/api/jobs")).body.counts, { Completed: 1 })
      assert.deepStrictEqual((yield* post("/api/jobs/prune", { olderThanMillis: 0 })).body, { removed: 1 })
    }).pipe(Effect.provide([manager(memory), host()])))

  it.effect("changes nothing where jobs are only shown, whatever is sent", () =>
    Effect.gen(function*() {
      const { get, post } = yield* client
      yield* put(job("a", queued), job("b", done, { finishedAt: Option.some(0) }))
      yield* TestClock.adjust("4 seconds")
      const requests = [
        ["actions", { action: "cancel", ids: ["a"] }],
        ["actions", "{"],
        ["a/settings", { priority: "low" }],
        ["a/retry", { cause: "EACCES" }],
        ["prune", { olderThanMillis: 0 }],
        ["../schedules/actions", { action: "remove", names: ["s"] }]
      ] as const
      for (const [path, body] of requests) {
        const answer = yield* post(`/api/jobs/${path}`, body)
        assert.deepInclude({ ...answer.body, status: answer.status }, { status: 403, _tag: "ReadOnly" })
      }
      assert.deepStrictEqual((yield* get("/api/jobs")).body.counts, { Queued: 1, Completed: 1 })
    }).pipe(Effect.provide([manager(memory), host(true)])))

  it.effect("says that the database does not answer", () =>
    Effect.gen(function*() {
      const { get } = yield* client
      const { body, status } = yield* get("/api/jobs")
      assert.deepInclude({ ...body, status }, { status: 503, _tag: "StoreFailed", problem: "Busy" })
      assert.include(body.message, "it stays locked by another process")
    }).pipe(Effect.provide([
      Layer.mock(JobManager.JobManager, {
        version: Effect.succeed("1"),
        overview: () =>
          Effect.fail(
            new JobStoreError({ reason: new StorageFailure({ operation: "list", problem: "Busy", cause: undefined }) })
          )
      }),
      memory,
      host()
    ])))

  it.effect("looks for jobs that can't be read each ten seconds only, however often a list is read", () =>
    Effect.gen(function*() {
      const asked: Array<unknown> = []
      const busy = new StorageFailure({ operation: "list", problem: "Busy", cause: undefined })
      const { get } = yield* Effect.provide(client, [
        Layer.mock(JobManager.JobManager, {
          overview: () => Effect.succeed([]),
          counts: Effect.succeed({}),
          unreadable: ({ names } = {}) => {
            asked.push(names)
            return asked.length === 1
              ? Effect.fail(new JobStoreError({ reason: busy }))
              : Effect.succeed([{ id: JobId.make("x"), why: "no JSON" }])
          }
        }),
        memory,
        host()
      ])
      const found = (name: string) =>
        Effect.map(get(`/api/jobs?name=${name}&state=Failed&since=5`), ({ body }) => body.unreadable)
      assert.isUndefined(yield* found("a"))
      assert.deepStrictEqual(yield* found("a"), [{ id: "x", why: "no JSON" }])
      yield* TestClock.adjust("9 seconds")
      assert.deepStrictEqual(yield* found("a"), [{ id: "x", why: "no JSON" }])
      assert.lengthOf(asked, 2)
      yield* found("b")
      assert.deepStrictEqual(asked, [["a"], ["a"], ["b"]])
      yield* TestClock.adjust("2 seconds")
      yield* found("a")
      assert.lengthOf(asked, 4)
    }))

  it.effect("looks at the store only while somebody listens, once for all, and tells slow readers the latest", () =>
    Effect.gen(function*() {
      let looks = 0
      let version = "1"
      const events = yield* Effect.provide(
        ChangeEvents.make,
        Layer.mock(JobManager.JobManager, {
          version: Effect.sync(() => {
            looks++
            return version
          })
        })
      )
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(looks, 0)

      const seen: Array<number> = []
      const slow: Array<number> = []
      const reading = yield* Effect.forkChild(
        Stream.runForEach(events, ({ at }) => Effect.sync(() => seen.push(at)))
      )
      const readingSlowly = yield* Effect.forkChild(
        Stream.runForEach(
          events,
          ({ at }) => Effect.andThen(Effect.sync(() => slow.push(at)), Effect.sleep("5 seconds"))
        )
      )
      yield* settle
      assert.deepStrictEqual([seen, slow], [[60_000], [60_000]])
      yield* TestClock.adjust("1 second")
      assert.strictEqual(looks, 11)
      assert.lengthOf(seen, 1)
      version = "2"
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(seen, [60_000, 61_100])
      // A store that changes all the time.
      for (let n = 0; n < 20; n++) {
        version = `3.${n}`
        yield* TestClock.adjust("100 millis")
      }
      assert.isAtMost(seen.length, 13)
      assert.isAtLeast(seen.length, 11)
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(slow, [60_000, seen.at(-1)])
      // Without news there is an event, too, now and then.
      const before = seen.length
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(seen.length, before + 1)

      yield* Fiber.interrupt(reading)
      yield* Fiber.interrupt(readingSlowly)
      const until = looks
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(looks, until)
    }))
})
