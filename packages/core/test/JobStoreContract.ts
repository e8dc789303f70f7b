import { assert, describe, it } from "@effect/vitest"
import * as JobHistory from "@fanout/core/JobHistory"
import * as JobId from "@fanout/core/JobId"
import * as JobState from "@fanout/core/JobState"
import * as JobStore from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as JobTasks from "@fanout/core/JobTasks"
import { Owner } from "@fanout/core/OwnerLiveness"
import * as Progress from "@fanout/core/Progress"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import { createHash } from "node:crypto"
import { counters, finished, flush, job, outcome, owned, owner, row, schedule } from "./JobStoreRecords.ts"

type Store = JobStore.JobStore["Service"]
type Fields = Partial<ConstructorParameters<typeof JobStore.JobRecord>[0]>

const { Cancelled, Failed, Paused } = JobState.JobState.cases
const id = (text: string) => JobId.make(text)

/** Stores a job that an owner with this token runs. */
const running = (store: Store, text: string, token: number, fields: Fields = {}) =>
  Effect.flatMap(store.insert(job(text, fields)), (record) => store.put(record.with(owned(token)), "claimed"))

const progressOf = (bytes: number) => new Progress.Progress({ fanOuts: {}, totals: { bytes: 100 }, units: { bytes } })

const reasonOf = <A, R>(effect: Effect.Effect<A, JobStoreError, R>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason._tag)

const cursors = (store: Store, of: string, options: Partial<Parameters<Store["outcomes"]>[1]> = {}) =>
  Effect.map(
    store.outcomes(id(of), { after: 0, limit: 1_000, ...options }),
    (rows) => rows.map(([, { cursor }]) => cursor)
  )

const messages = (store: Store, of: string, options = { after: 0, limit: 10_000 }) =>
  Effect.map(store.logs(id(of), options), (lines) => lines.map(({ message }) => message))

const ids = (records: Effect.Effect<ReadonlyArray<JobStore.JobRecord>, JobStoreError>) =>
  Effect.map(records, (records) => records.map((record): string => record.id))

/** Text that is hard to keep: bytes of file names, NUL, quotes, what looks like an escape, a byte order mark. */
const oddities = [
  "\udc80",
  "a\udcffb/\udc80",
  "\ud800 alone",
  "\0",
  "a\0b",
  "\\",
  "\\\"x\"",
  "\\u0000",
  "'\"`;--",
  "\n\r\t\u0001",
  "\ufeffmark",
  "🚚 ünïcode \uffff",
  " "
]

/** Behaviour that every `JobStore` must show. One that others may keep waiting needs `it.live` and its clock. */
export const jobStoreContract = <E>(
  backend: string,
  layer: Layer.Layer<JobStore.JobStore, E>,
  run: typeof it.effect = it.effect
) => {
  const test = <A, E2>(name: string, body: (store: Store) => Effect.Effect<A, E2>) =>
    // Some write thousands of rows, and all run at once.
    run(name, () => Effect.flatMap(JobStore.JobStore, body).pipe(Effect.provide(layer)), 60_000)

  describe(`JobStore (${backend})`, () => {
    describe("insert", () => {
      test("stores a new job with all that it has", (store) =>
        Effect.gen(function*() {
          const record = job("full", {
            version: 3,
            payload: [null, true, -1.5e300, "x", { y: [{}] }],
            idempotencyKey: Option.some("i"),
            exclusiveKey: Option.some("e"),
            priority: -5,
            state: Paused.make({ attempt: 2, tries: 3, by: "disk" }),
            exit: Option.some({ _tag: "Failure", error: { code: 5 }, message: "no" }),
            request: Option.some("Pause"),
            lease: Option.some({ token: 2 ** 53 - 1, owner }),
            token: 2 ** 53 - 1,
            ownersLost: 4,
            createdAt: 1.5,
            updatedAt: -2,
            availableAt: 1e15,
            finishedAt: Option.some(0.25)
          })

          const stored = yield* store.insert(record)

          assert.deepStrictEqual(stored, record.with({ revision: 1 }))
          assert.deepStrictEqual(yield* store.get(record.id), stored)
          assert.deepStrictEqual(yield* store.pulse(record.id), { beat: 0, progress: Progress.empty })
        }))

      test("gives back what a later read gives, not what it was given", (store) =>
        Effect.gen(function*() {
          const inserted = yield* store.insert(job("a", { payload: [-0] }))
          assert.deepStrictEqual(inserted.payload, [0])

          const put = yield* store.put(inserted.with({ payload: { zero: -0 } }), "changed")
          assert.deepStrictEqual(put.payload, { zero: 0 })
          assert.deepStrictEqual(yield* store.get(put.id), put)
        }))

      test("returns the active job with the same idempotency key instead", (store) =>
        Effect.gen(function*() {
          const first = yield* store.insert(job("first", { idempotencyKey: Option.some("key") }))

          const second = yield* store.insert(job("second", { idempotencyKey: Option.some("key") }))

          assert.deepStrictEqual(second, first)
          assert.strictEqual(yield* reasonOf(store.get(id("second"))), "JobNotFound")
        }))

      test("returns the active job with the same exclusive key instead", (store) =>
        Effect.gen(function*() {
          const first = yield* store.insert(job("first", { exclusiveKey: Option.some("key") }))

          const second = yield* store.insert(
            job("second", { exclusiveKey: Option.some("key"), idempotencyKey: Option.some("other") })
          )

          assert.deepStrictEqual(second, first)
        }))

      test("prefers the job with the same idempotency key to the one with the same exclusive key", (store) =>
        Effect.gen(function*() {
          yield* store.insert(job("exclusive", { exclusiveKey: Option.some("e") }))
          yield* store.insert(job("idempotent", { idempotencyKey: Option.some("i") }))

          const found = yield* store.insert(
            job("new", { idempotencyKey: Option.some("i"), exclusiveKey: Option.some("e") })
          )

          assert.strictEqual(found.id, id("idempotent"))
        }))

      test("lets jobs of other names, and keys of the other kind, alone", (store) =>
        Effect.gen(function*() {
          yield* store.insert(job("a", { idempotencyKey: Option.some("key") }))
          yield* store.insert(job("b", { exclusiveKey: Option.some("key") }))
          yield* store.insert(job("c", { idempotencyKey: Option.some("key"), name: "move" }))
          yield* store.insert(job("d"))
          yield* store.insert(job("e"))

          assert.deepStrictEqual(yield* ids(store.list({ limit: 10 })), ["e", "d", "c", "b", "a"])
        }))

      test("finds a job with its key in every active state, and none in a finished one", (store) =>
        Effect.gen(function*() {
          const key = { idempotencyKey: Option.some("key") }
          const first = yield* store.insert(job("first", key))
          const run = yield* store.put(first.with(owned(1)), "claimed")
          assert.strictEqual((yield* store.insert(job("second", key))).id, first.id)
          const paused = yield* store.put(
            run.with({ state: Paused.make({ ...counters, by: "person" }), lease: Option.none() }),
            "paused"
          )
          assert.strictEqual((yield* store.insert(job("second", key))).id, first.id)
          yield* store.put(paused.with({ state: Cancelled.make(counters) }), "cancelled")

          const second = yield* store.insert(job("second", key))

          assert.strictEqual(second.id, id("second"))
        }))

      test("stores one of many jobs that are inserted at once with the same key", (store) =>
        Effect.gen(function*() {
          const names = Array.from({ length: 20 }, (_, index) => `job-${index}`)

          const stored = yield* Effect.forEach(
            names,
            (name) => store.insert(job(name, { exclusiveKey: Option.some("key") })),
            { concurrency: "unbounded" }
          )

          assert.strictEqual(new Set(stored.map((record) => record.id)).size, 1)
          assert.strictEqual((yield* store.list({ limit: 100 })).length, 1)
        }))

      test("returns an active job to who inserts it twice with a key, and refuses its id without one", (store) =>
        Effect.gen(function*() {
          const keyed = job("keyed", { idempotencyKey: Option.some("key") })
          const first = yield* store.insert(keyed)
          yield* store.insert(job("plain"))

          assert.deepStrictEqual(yield* store.insert(keyed), first)
          assert.strictEqual(yield* reasonOf(store.insert(job("plain", { name: "other" }))), "JobConflict")
        }))

      test("refuses a job that was stored before", (store) =>
        Effect.gen(function*() {
          assert.strictEqual(yield* reasonOf(store.insert(job("old", { revision: 1 }))), "JobConflict")
          assert.strictEqual(yield* reasonOf(store.get(id("old"))), "JobNotFound")
        }))
    })

    describe("put", () => {
      test("replaces the job, raises its revision and writes the line to its log", (store) =>
        Effect.gen(function*() {
          const first = yield* store.insert(job("a"))
          const changed = first.with({ ...owned(1), payload: { other: 1 }, priority: 7, updatedAt: 5_000 })

          const second = yield* store.put(changed, "claimed")

          assert.deepStrictEqual(second, changed.with({ revision: 2 }))
          assert.deepStrictEqual(yield* store.get(first.id), second)
          const [line] = yield* store.logs(first.id, { after: 0, limit: 10 })
          assert.deepInclude(line, { at: 5_000, level: "Info", message: "claimed" })
        }))

      test("refuses a job that changed since it was read, and writes nothing", (store) =>
        Effect.gen(function*() {
          const first = yield* store.insert(job("a"))
          const second = yield* store.put(first.with({ priority: 1 }), "once")

          assert.strictEqual(yield* reasonOf(store.put(first.with({ priority: 2 }), "twice")), "JobConflict")
          assert.strictEqual(yield* reasonOf(store.put(second.with({ revision: 7 }), "ahead")), "JobConflict")
          assert.strictEqual(yield* reasonOf(store.put(second.with({ revision: 0 }), "new")), "JobConflict")
          assert.deepStrictEqual(yield* store.get(first.id), second)
          assert.deepStrictEqual(yield* messages(store, "a"), ["once"])
        }))

      test("refuses to take a job from an owner that has renewed its lease since", (store) =>
        Effect.gen(function*() {
          const first = yield* store.put((yield* store.insert(job("a"))).with(owned(1)), "claimed")
          const { beat } = yield* store.pulse(first.id)
          yield* store.beat(first.id, 1)

          assert.strictEqual(yield* reasonOf(store.put(first.with(owned(2)), "taken", [], beat)), "JobConflict")
          assert.deepStrictEqual(yield* store.get(first.id), first)
          const taken = yield* store.put(first.with(owned(2)), "taken", [], beat + 1)
          assert.strictEqual(taken.token, 2)
        }))

      test("lets one of many win that have read the same", (store) =>
        Effect.gen(function*() {
          const first = yield* store.insert(job("a"))

          const exits = yield* Effect.forEach(
            Array.from({ length: 10 }, (_, index) => index),
            (priority) => Effect.exit(store.put(first.with({ priority }), `${priority}`)),
            { concurrency: "unbounded" }
          )

          assert.strictEqual(exits.filter(Exit.isSuccess).length, 1)
          assert.strictEqual((yield* store.get(first.id)).revision, 2)
        }))

      test("fails with JobNotFound for an unknown job", (store) =>
        Effect.gen(function*() {
          assert.strictEqual(yield* reasonOf(store.put(job("nobody"), "?")), "JobNotFound")
          assert.deepStrictEqual(yield* messages(store, "nobody"), [])
        }))

      test("refuses to make a second active job with the same key, and names the first", (store) =>
        Effect.gen(function*() {
          const key = { idempotencyKey: Option.some("i"), exclusiveKey: Option.some("e") }
          const old = yield* store.insert(job("old", { ...key, ...finished(1) }))
          yield* store.insert(job("new", key))
          const again = old.with({ state: JobState.initial, finishedAt: Option.none() })

          const error = yield* Effect.flip(store.put(again, "retried"))

          assert.deepInclude(error.reason, { _tag: "KeyTaken", id: id("old"), by: id("new") })
          assert.deepStrictEqual(yield* store.get(old.id), old)
          assert.deepStrictEqual(yield* messages(store, "old"), [])
          const renamed = again.with({ idempotencyKey: Option.none(), exclusiveKey: Option.some("e2") })
          assert.strictEqual((yield* store.put(renamed, "retried")).revision, 2)
        }))

      test("leaves heartbeat and progress as they are", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          yield* store.beat(record.id, 1)
          yield* store.flush(record.id, flush(1, { progress: progressOf(5) }))

          yield* store.put(record.with({ priority: 1 }), "changed")

          assert.deepStrictEqual(yield* store.pulse(record.id), { beat: 1, progress: progressOf(5) })
        }))
    })

    describe("put with renames", () => {
      const tally = (done: number) => new Progress.Tally({ done, failed: 0, skipped: 0, tags: {}, units: {} })
      const fanOuts = { a: tally(1), b: tally(2), c: tally(3) }

      /** A running job with three fan-outs, of a failed element each, and of two more in `a`. */
      const withFanOuts = Effect.fnUntraced(function*(store: Store, text: string) {
        const record = yield* running(store, text, 1)
        for (const fanOut of ["a", "b", "c"]) {
          const rows = fanOut === "a" ? ["1", "2", "3"] : ["1"]
          const progress = new Progress.Progress({ fanOuts, totals: { items: 3 }, units: { bytes: 6 } })
          yield* store.flush(
            record.id,
            flush(1, {
              fanOut,
              checkpoint: `of ${fanOut}`,
              progress,
              rows: rows.map((cursor) => row(cursor, undefined, fanOut))
            })
          )
        }
        return record
      })
      const stored = Effect.fnUntraced(function*(store: Store, of: JobId.JobId) {
        const names = ["a", "b", "c", "d"]
        const checkpoints = yield* Effect.forEach(names, (name) => store.checkpoint(of, name))
        const rows = yield* store.outcomes(of, { after: 0, limit: 100 })
        return {
          checkpoints: checkpoints.map(Option.getOrElse(() => "none")),
          rows: rows.map(([, { cursor, fanOut }]) => fanOut + cursor),
          progress: (yield* store.pulse(of)).progress
        }
      })

      const cases: Record<string, {
        readonly renames: ReadonlyArray<Record<string, string>>
        readonly checkpoints: ReadonlyArray<string>
        readonly rows: ReadonlyArray<string>
        readonly tallies: Record<string, number>
      }> = {
        "to a new one": {
          renames: [{ a: "d" }],
          checkpoints: ["none", "of b", "of c", "of a"],
          rows: ["d1", "d2", "d3", "b1", "c1"],
          tallies: { d: 1, b: 2, c: 3 }
        },
        "to one that is not wanted any more": {
          renames: [{ a: "b" }],
          checkpoints: ["none", "of a", "of c", "none"],
          rows: ["b1", "b2", "b3", "c1"],
          tallies: { b: 1, c: 3 }
        },
        "to one that moves on": {
          renames: [{ a: "b", b: "c", c: "d" }],
          checkpoints: ["none", "of a", "of b", "of c"],
          rows: ["b1", "b2", "b3", "c1", "d1"],
          tallies: { b: 1, c: 2, d: 3 }
        },
        "against each other": {
          renames: [{ a: "b", b: "a" }],
          checkpoints: ["of b", "of a", "of c", "none"],
          rows: ["b1", "b2", "b3", "a1", "c1"],
          tallies: { b: 1, a: 2, c: 3 }
        },
        "step by step": {
          renames: [{ a: "d" }, { d: "c", unknown: "a" }],
          checkpoints: ["none", "of b", "of a", "none"],
          rows: ["c1", "c2", "c3", "b1"],
          tallies: { c: 1, b: 2 }
        },
        "to themselves, or not at all": {
          renames: [{ a: "a" }, {}],
          checkpoints: ["of a", "of b", "of c", "none"],
          rows: ["a1", "a2", "a3", "b1", "c1"],
          tallies: { a: 1, b: 2, c: 3 }
        }
      }
      for (const [how, { checkpoints, renames, rows, tallies }] of Object.entries(cases)) {
        test(`moves what fan-outs have stored ${how}`, (store) =>
          Effect.gen(function*() {
            const record = yield* withFanOuts(store, "job")
            const other = yield* withFanOuts(store, "other")
            const before = yield* stored(store, other.id)

            yield* store.put(record, "renamed", renames.map((step) => new Map(Object.entries(step))))

            const after = yield* stored(store, record.id)
            assert.deepStrictEqual([after.checkpoints, after.rows], [checkpoints, rows])
            const counted = Object.entries(after.progress.fanOuts).map(([name, { done }]) => [name, done])
            assert.deepStrictEqual(Object.fromEntries(counted), tallies)
            assert.deepStrictEqual([after.progress.totals, after.progress.units], [{ items: 3 }, { bytes: 6 }])
            assert.deepStrictEqual(yield* stored(store, other.id), before)
          }))
      }

      test("moves any number of rows, and keeps the order in which they were recorded", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const all = Array.from({ length: 1_200 }, (_, index) => row(`${index}`))
          yield* store.flush(record.id, flush(1, { rows: all }))
          yield* store.flush(
            record.id,
            flush(1, { fanOut: "gone", rows: all.map((_) => row(_.cursor, undefined, "gone")) })
          )

          yield* store.put(record, "renamed", [new Map([["files", "gone"]])])

          assert.strictEqual(yield* store.failures(record.id), 1_200)
          const seen = yield* store.outcomes(record.id, { fanOut: "gone", after: 0, limit: 2_000 })
          assert.deepStrictEqual(seen.map(([, { cursor }]) => cursor), all.map(({ cursor }) => cursor))
        }))

      test("moves nothing where the job is not changed", (store) =>
        Effect.gen(function*() {
          const record = yield* withFanOuts(store, "job")
          yield* store.put(record, "changed")
          const before = yield* stored(store, record.id)

          const reason = yield* reasonOf(store.put(record, "late", [new Map([["a", "d"]])]))

          assert.strictEqual(reason, "JobConflict")
          assert.deepStrictEqual(yield* stored(store, record.id), before)
        }))
    })

    describe("beat and requested", () => {
      test("raise the heartbeat, or not, and tell what is asked", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          assert.deepStrictEqual(
            yield* store.beat(record.id, 1),
            Option.some({ request: Option.none(), priority: 0, limits: {} })
          )
          const asked: JobStore.Asked = {
            request: Option.some("Cancel"),
            priority: 10,
            limits: { concurrency: 4, bytesPerSecond: 2.5e7 }
          }
          yield* store.put(record.with(asked), "asked")

          assert.deepStrictEqual(yield* store.requested(record.id, 1), asked)
          assert.strictEqual((yield* store.pulse(record.id)).beat, 1)
          assert.deepStrictEqual(yield* store.beat(record.id, 1), Option.some(asked))
          assert.deepStrictEqual((yield* store.get(record.id)).limits, asked.limits)
          assert.strictEqual((yield* store.pulse(record.id)).beat, 2)
          assert.strictEqual((yield* store.get(record.id)).revision, 3)
        }))

      test("store progress with the heartbeat, where there is any", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const progress = new Progress.Progress({ fanOuts: {}, totals: { pages: 9 }, units: { pages: 4 } })

          yield* store.beat(record.id, 1, progress)
          yield* store.beat(record.id, 1)

          assert.deepStrictEqual(yield* store.pulse(record.id), { beat: 2, progress })
          assert.strictEqual((yield* store.get(record.id)).revision, 2)
        }))
    })

    describe("fencing", () => {
      const writes: Record<
        string,
        (store: Store, of: JobId.JobId, token: number) => Effect.Effect<unknown, JobStoreError>
      > = {
        beat: (store, of, token) => store.beat(of, token),
        requested: (store, of, token) => store.requested(of, token),
        flush: (store, of, token) =>
          store.flush(of, flush(token, { rows: [row("x")], checkpoint: "late", progress: progressOf(9) })),
        "flush with onCommit": (store, of, token) =>
          store.flush(of, flush(token, { rows: [row("x")], checkpoint: "late" }), Effect.die("must not run")),
        saveOwnCheckpoint: (store, of, token) =>
          store.saveOwnCheckpoint(of, { token, name: "files", checkpoint: "late" }),
        saveHistory: (store, of, token) => store.saveHistory(of, token, JobHistory.empty),
        saveTasks: (store, of, token) => store.saveTasks(of, token, JobTasks.empty),
        log: (store, of, token) => store.log(of, token, { at: 1, level: "Info", message: "late" })
      }
      for (const [name, write] of Object.entries(writes)) {
        test(`${name} is refused for who is not the owner, and writes nothing`, (store) =>
          Effect.gen(function*() {
            yield* store.insert(job("queued"))
            const second = yield* running(store, "taken over", 2)
            yield* store.flush(second.id, flush(2, { checkpoint: "kept", rows: [row("a")], progress: progressOf(1) }))
            const paused = yield* running(store, "paused", 1)
            yield* store.put(paused.with({ state: Paused.make({ ...counters, by: "person" }) }), "paused")
            const released = yield* running(store, "released", 1)
            yield* store.put(released.with({ lease: Option.none() }), "released")

            for (const  of of["queued", "taken over", "paused", "released", "nobody"]) {
              const error = yield* Effect.flip(write(store, id(of), 1))
              assert.deepInclude(error.reason, { _tag: "Fenced", id: id(of), token: 1 })
            }

            assert.deepStrictEqual(yield* store.pulse(second.id), { beat: 0, progress: progressOf(1) })
            assert.deepStrictEqual(yield* store.checkpoint(second.id, "files"), Option.some("kept"))
            assert.deepStrictEqual(yield* cursors(store, "taken over"), ["a"])
            assert.deepStrictEqual(yield* store.ownCheckpoint(second.id, "files"), Option.none())
            assert.deepStrictEqual(yield* store.checkpoint(paused.id, "files"), Option.none())
            assert.deepStrictEqual(yield* messages(store, "taken over"), ["claimed"])
          }))
      }
    })

    describe("flush", () => {
      test("records rows, checkpoint and progress", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const rows = [row("1"), row("2", outcome.done("v")), row("3", outcome.skipped("same"))]

          yield* store.flush(record.id, flush(1, { rows, checkpoint: "c", progress: progressOf(3) }))

          const stored = yield* store.outcomes(record.id, { after: 0, limit: 10 })
          assert.deepStrictEqual(stored.map(([, row]) => row), rows)
          assert.deepStrictEqual(yield* store.checkpoint(record.id, "files"), Option.some("c"))
          assert.deepStrictEqual(yield* store.pulse(record.id), { beat: 0, progress: progressOf(3) })
        }))

      test("replaces rows of the same element, behind all others", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const other = row("1", outcome.failed("other"), "folders")
          yield* store.flush(record.id, flush(1, { rows: [row("1"), row("2"), other], checkpoint: "c1" }))
          const [last] = (yield* store.outcomes(record.id, { after: 0, limit: 10 })).slice(-1)

          const replacement = row("1", outcome.done("again"))
          yield* store.flush(record.id, flush(1, { rows: [replacement], checkpoint: "c2" }))

          assert.deepStrictEqual(yield* cursors(store, "a"), ["2", "1", "1"])
          const behind = yield* store.outcomes(record.id, { after: last?.[0] ?? 0, limit: 10 })
          assert.deepStrictEqual(behind.map(([, row]) => row), [replacement])
          assert.deepStrictEqual(yield* store.checkpoint(record.id, "files"), Option.some("c2"))
        }))

      test("keeps the last of several rows of one element", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)

          yield* store.flush(record.id, flush(1, { rows: [row("1"), row("2"), row("1", outcome.done("last"))] }))

          const stored = yield* store.outcomes(record.id, { after: 0, limit: 10 })
          assert.deepStrictEqual(stored.map(([, { outcome }]) => outcome._tag), ["Failed", "Done"])
        }))

      test("removes cleared rows of its fan-out, but none that it records itself", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const rows = [row("1"), row("2"), row("3"), row("1", outcome.failed("no"), "folders")]
          yield* store.flush(record.id, flush(1, { rows }))

          yield* store.flush(record.id, flush(1, { cleared: ["1", "2", "unknown"], rows: [row("2")] }))

          const stored = yield* store.outcomes(record.id, { after: 0, limit: 10 })
          assert.deepStrictEqual(stored.map(([, { cursor, fanOut }]) => `${fanOut} ${cursor}`), [
            "files 3",
            "folders 1",
            "files 2"
          ])
        }))

      test("keeps fan-outs and jobs apart", (store) =>
        Effect.gen(function*() {
          const a = yield* running(store, "a", 1)
          const b = yield* running(store, "b", 1)

          yield* store.flush(a.id, flush(1, { fanOut: "one", checkpoint: "a1", rows: [row("1", undefined, "one")] }))
          yield* store.flush(a.id, flush(1, { fanOut: "two", checkpoint: "a2", rows: [row("1", undefined, "two")] }))
          yield* store.flush(b.id, flush(1, { fanOut: "one", checkpoint: "b1", rows: [row("1", undefined, "one")] }))

          assert.deepStrictEqual(yield* store.checkpoint(a.id, "one"), Option.some("a1"))
          assert.deepStrictEqual(yield* store.checkpoint(a.id, "two"), Option.some("a2"))
          assert.deepStrictEqual(yield* store.checkpoint(b.id, "one"), Option.some("b1"))
          assert.strictEqual(yield* store.failures(a.id), 2)
          assert.strictEqual(yield* store.failures(b.id), 1)
        }))

      const advances: Record<string, (store: Store, of: JobId.JobId) => Effect.Effect<void, JobStoreError>> = {
        "a row is stored": (store, of) => store.flush(of, flush(1, { rows: [row("1")] })),
        "a row is cleared": (store, of) => store.flush(of, flush(1, { cleared: ["0"] })),
        "a checkpoint changes": (store, of) => store.flush(of, flush(1, { checkpoint: "further" })),
        "a fan-out begins": (store, of) => store.flush(of, flush(1, { fanOut: "another" })),
        "the program's own checkpoint changes": (store, of) =>
          store.saveOwnCheckpoint(of, { token: 1, name: "own", checkpoint: "further" })
      }
      for (const [what, advance] of Object.entries(advances)) {
        test(`forgets lost owners when ${what}, and says so by the revision`, (store) =>
          Effect.gen(function*() {
            const before = yield* running(store, "a", 1)
            yield* store.flush(before.id, flush(1, { rows: [row("0")] }))
            yield* store.saveOwnCheckpoint(before.id, { token: 1, name: "own", checkpoint: "same" })
            const record = yield* store.put(before.with({ ownersLost: 3 }), "lost")

            yield* store.flush(record.id, flush(1, { progress: progressOf(5) }))
            yield* store.saveOwnCheckpoint(record.id, { token: 1, name: "own", checkpoint: "same" })
            assert.deepStrictEqual(yield* store.get(record.id), record)

            yield* advance(store, record.id)
            const after = yield* store.get(record.id)
            assert.deepStrictEqual(after, record.with({ ownersLost: 0, revision: record.revision + 1 }))

            yield* store.flush(record.id, flush(1, { rows: [row("2")] }))
            assert.deepStrictEqual(yield* store.get(record.id), after)
          }))
      }

      test("runs onCommit as a part of it, after its own writes", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          let seen: ReadonlyArray<string> = []

          yield* store.flush(
            record.id,
            flush(1, { rows: [row("1")] }),
            Effect.gen(function*() {
              seen = yield* cursors(store, "a").pipe(Effect.orDie)
              yield* store.insert(job("child")).pipe(Effect.orDie)
              yield* store.log(record.id, 1, { at: 1, level: "Info", message: "inside" }).pipe(Effect.orDie)
            })
          )

          assert.deepStrictEqual(seen, ["1"])
          assert.strictEqual((yield* store.get(id("child"))).revision, 1)
          assert.deepStrictEqual(yield* messages(store, "a"), ["claimed", "inside"])
        }))

      const failing = {
        fails: Effect.fail("no" as const),
        dies: Effect.die("dead"),
        "is interrupted": Effect.interrupt
      }
      for (const [how, ending] of Object.entries(failing)) {
        test(`writes nothing when onCommit ${how}, and gives back what it came to`, (store) =>
          Effect.gen(function*() {
            const record = yield* running(store, "a", 1)
            yield* store.flush(record.id, flush(1, { checkpoint: "c", rows: [row("1"), row("2")] }))
            const lost = yield* store.put(record.with({ ownersLost: 1 }), "lost")
            const old = yield* store.insert(job("old", finished(1)))
            const before = yield* store.outcomes(record.id, { after: 0, limit: 10 })

            const exit = yield* Effect.exit(store.flush(
              record.id,
              flush(1, { rows: [row("3"), row("1")], cleared: ["2"], checkpoint: "d", progress: progressOf(5) }),
              Effect.gen(function*() {
                yield* store.insert(job("child")).pipe(Effect.orDie)
                yield* store.prune(100).pipe(Effect.orDie)
                yield* store.beat(record.id, 1).pipe(Effect.orDie)
                const own = { token: 1, name: "own", checkpoint: "inside" }
                yield* store.saveOwnCheckpoint(record.id, own).pipe(Effect.orDie)
                yield* store.log(record.id, 1, { at: 1, level: "Info", message: "inside" }).pipe(Effect.orDie)
                yield* ending
              })
            ))

            assert.deepStrictEqual(Exit.asVoid(exit), yield* Effect.exit(ending))
            assert.deepStrictEqual(yield* store.outcomes(record.id, { after: 0, limit: 10 }), before)
            assert.deepStrictEqual(yield* store.checkpoint(record.id, "files"), Option.some("c"))
            assert.deepStrictEqual(yield* store.ownCheckpoint(record.id, "own"), Option.none())
            assert.deepStrictEqual(yield* store.pulse(record.id), { beat: 0, progress: Progress.empty })
            assert.deepStrictEqual(yield* store.get(record.id), lost)
            assert.deepStrictEqual(yield* messages(store, "a"), ["claimed", "lost"])
            assert.strictEqual(yield* reasonOf(store.get(id("child"))), "JobNotFound")
            assert.deepStrictEqual(yield* store.get(old.id), old)
            yield* store.flush(record.id, flush(1, { rows: [row("4")] }))
            assert.deepStrictEqual(yield* cursors(store, "a"), ["1", "2", "4"])
          }))
      }

      test("undoes a flush inside onCommit alone when only that fails", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)

          yield* store.flush(
            record.id,
            flush(1, { rows: [row("outer")] }),
            store.flush(record.id, flush(1, { rows: [row("inner")] }), Effect.fail("no")).pipe(Effect.ignore)
          )

          assert.deepStrictEqual(yield* cursors(store, "a"), ["outer"])
        }))

      test("lets nobody else see or write between its writes and its end", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const inside = yield* Deferred.make<void>()
          const goOn = yield* Deferred.make<void>()
          const flushing = yield* Effect.forkChild(store.flush(
            record.id,
            flush(1, { rows: [row("1")] }),
            Effect.andThen(Deferred.succeed(inside, undefined), Effect.andThen(Deferred.await(goOn), Effect.fail("no")))
          ))
          yield* Deferred.await(inside)
          const beating = yield* Effect.forkChild(store.beat(record.id, 1))
          const reading = yield* Effect.forkChild(cursors(store, "a"))
          yield* Effect.yieldNow

          yield* Deferred.succeed(goOn, undefined)

          assert.isTrue(Exit.isFailure(yield* Fiber.await(flushing)))
          yield* Fiber.join(beating)
          assert.deepStrictEqual(yield* Fiber.join(reading), [])
          assert.strictEqual((yield* store.pulse(record.id)).beat, 1)
        }))
    })

    describe("ownCheckpoint", () => {
      test("is none until it is stored, and replaced then", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          assert.deepStrictEqual(yield* store.ownCheckpoint(record.id, "own"), Option.none())

          yield* store.saveOwnCheckpoint(record.id, { token: 1, name: "own", checkpoint: "1" })
          yield* store.saveOwnCheckpoint(record.id, { token: 1, name: "own", checkpoint: "" })

          assert.deepStrictEqual(yield* store.ownCheckpoint(record.id, "own"), Option.some(""))
          assert.deepStrictEqual(yield* store.ownCheckpoint(record.id, "other"), Option.none())
          assert.deepStrictEqual(yield* store.pulse(record.id), { beat: 0, progress: Progress.empty })
        }))

      test("is another than that of a fan-out, whatever their names", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          for (const name of ["files", "checkpoint:files", ...oddities]) {
            yield* store.saveOwnCheckpoint(record.id, { token: 1, name, checkpoint: `own ${name}` })
            yield* store.flush(record.id, flush(1, { fanOut: name, checkpoint: `fan-out ${name}` }))
          }
          for (const name of ["files", "checkpoint:files", ...oddities]) {
            assert.deepStrictEqual(yield* store.ownCheckpoint(record.id, name), Option.some(`own ${name}`))
            assert.deepStrictEqual(yield* store.checkpoint(record.id, name), Option.some(`fan-out ${name}`))
          }

          yield* store.put(record, "renamed", [new Map([["files", "copies"]])])

          assert.deepStrictEqual(yield* store.ownCheckpoint(record.id, "files"), Option.some("own files"))
          assert.deepStrictEqual(yield* store.checkpoint(record.id, "files"), Option.none())
        }))
    })

    describe("history", () => {
      test("is none until it is stored, and replaced then, and changes nothing else of the job", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          assert.deepStrictEqual(yield* store.history(record.id), Option.none())
          const sample = { at: 5, items: 1, failed: 0, bytes: 2 ** 40 + 0.5, tasks: 3 }
          const first = JobHistory.withSample(JobHistory.empty, sample)
          const second = JobHistory.withMarks(first, [{ at: 6, kind: "Paused", token: 1 }])

          yield* store.saveHistory(record.id, 1, first)
          assert.deepStrictEqual(yield* store.history(record.id), Option.some(first))
          yield* store.saveHistory(record.id, 1, second)

          assert.deepStrictEqual(yield* store.history(record.id), Option.some(second))
          assert.deepStrictEqual(yield* store.history(id("other")), Option.none())
          assert.deepStrictEqual(yield* store.pulse(record.id), { beat: 0, progress: Progress.empty })
          assert.deepStrictEqual(yield* store.get(record.id), record)
        }))
    })

    describe("tasks", () => {
      test("are none until they are stored, and replaced then, and change nothing else of the job", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          assert.deepStrictEqual(yield* store.tasks(record.id), Option.none())
          const pool = { name: "io", size: 16, held: 2.5, waiting: 3, bounds: { least: 1, most: 64 } }
          const counts = { alive: 2, busy: 1, queued: 3, ended: 2 ** 40, lost: 1, abandoned: 0 }
          const first = new JobTasks.JobTasks({
            token: 1,
            kinds: [{ name: "\udc80 odd\0", waiting: [5, 0, 2 ** 50], running: [1] }],
            pools: [pool, { ...pool, bounds: null }],
            threads: [{ name: "hash", size: 2, ...counts }],
            workers: [
              { _tag: "Connecting", address: "a:1" },
              { _tag: "Unusable", address: "b:1", why: "can't be reached" },
              {
                _tag: "Connected",
                address: "c:1",
                since: 1,
                inHand: 3,
                ended: 4,
                perSecond: 2.5,
                greetingMillis: 0.1,
                silentMillis: 1000,
                isLeaving: false,
                refuses: [["test/Work", "\ud800"]]
              }
            ]
          })

          yield* store.saveTasks(record.id, 1, first)
          assert.deepStrictEqual(yield* store.tasks(record.id), Option.some(first))
          yield* store.saveTasks(record.id, 1, JobTasks.empty)

          assert.deepStrictEqual(yield* store.tasks(record.id), Option.some(JobTasks.empty))
          assert.deepStrictEqual(yield* store.tasks(id("other")), Option.none())
          assert.deepStrictEqual(yield* store.history(record.id), Option.none())
          assert.deepStrictEqual(yield* store.pulse(record.id), { beat: 0, progress: Progress.empty })
          assert.deepStrictEqual(yield* store.get(record.id), record)
        }))
    })

    describe("counts", () => {
      test("are of all jobs, by state", (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* store.counts, {})
          yield* store.insert(job("q1"))
          yield* store.insert(job("q2"))
          yield* store.insert(job("f", { state: Failed.make(counters) }))
          yield* running(store, "r", 1)
          assert.deepStrictEqual(yield* store.counts, { Queued: 2, Failed: 1, Running: 1 })
        }))
    })

    describe("version", () => {
      test("is another one after each change", (store) =>
        Effect.gen(function*() {
          const seen = new Set<string>()
          const changed = Effect.map(store.version, (version) => {
            assert.isFalse(seen.has(version))
            seen.add(version)
          })
          yield* changed
          const { id } = yield* running(store, "a", 1)
          yield* changed
          yield* store.beat(id, 1)
          yield* changed
          yield* store.flush(id, flush(1, { rows: [row("x")] }))
          yield* changed
          yield* store.saveHistory(id, 1, JobHistory.empty)
          yield* changed
          yield* store.saveTasks(id, 1, JobTasks.empty)
          yield* changed
        }))
    })

    describe("outcomes", () => {
      test("can be those of one cause", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const failed = (code: string) =>
            ({ _tag: "Failed", failure: { _tag: "Error", error: { code }, message: "m" } }) as const
          const codes = ["EACCES", "ENOSPC", "EACCES", "\udc80 odd", "EACCES"]
          const rows = codes.map((code, n) => row(`${n}`, failed(code)))
          yield* store.flush(record.id, flush(1, { rows: [...rows, row("done", outcome.done("v"))] }))
          const of = (cause: string, more = {}) => cursors(store, "a", { cause, ...more })

          assert.deepStrictEqual(yield* of("EACCES"), ["0", "2", "4"])
          assert.deepStrictEqual(yield* of("EACCES", { newestFirst: true, limit: 2 }), ["4", "2"])
          assert.deepStrictEqual(yield* of("\udc80 odd"), ["3"])
          assert.deepStrictEqual(yield* of("EIO"), [])
          assert.deepStrictEqual(yield* of("EACCES", { tags: ["Done"] }), [])

          yield* store.flush(record.id, flush(1, { rows: [row("2", failed("EIO"))], cleared: ["0"] }))
          assert.deepStrictEqual([yield* of("EACCES"), yield* of("EIO")], [["4"], ["2"]])
        }))

      test("can be those with some numbers", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const other = yield* running(store, "b", 1)
          const rows = Array.from({ length: 6 }, (_, n) => row(`${n}`, n % 2 ? outcome.done("") : outcome.failed("")))
          yield* store.flush(record.id, flush(1, { rows }))
          yield* store.flush(other.id, flush(1, { rows }))
          const numbers = (yield* store.outcomes(record.id, { after: 0, limit: 10 })).map(([seq]) => seq)
          const [first = 0, second = 0, third = 0, , fifth = 0] = numbers
          const of = (elements: ReadonlyArray<number>, more = {}) => cursors(store, "a", { elements, ...more })

          assert.deepStrictEqual(yield* of([fifth, first, second, first]), ["0", "1", "4"])
          assert.deepStrictEqual(yield* of([fifth, first, second], { tags: ["Failed"] }), ["0", "4"])
          assert.deepStrictEqual(yield* of([fifth, first, second], { after: first, limit: 1 }), ["1"])
          assert.deepStrictEqual(yield* of([fifth, first], { fanOut: "folders" }), [])
          assert.deepStrictEqual(yield* of([]), [])
          assert.deepStrictEqual(yield* cursors(store, "b", { elements: [first] }), [], "of another job")

          yield* store.flush(record.id, flush(1, { rows: [row("2", outcome.failed("again"))] }))
          assert.deepStrictEqual(yield* of([third]), [], "a row that replaces another one has a new number")
        }))

      test("come in the order in which they were recorded, page by page", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          const all = Array.from({ length: 25 }, (_, index) => `${(index * 7) % 25}`)
          yield* store.flush(record.id, flush(1, { rows: all.slice(0, 10).map((cursor) => row(cursor)) }))
          yield* store.flush(
            record.id,
            flush(1, {
              rows: all.slice(10).map((cursor, index) => row(cursor, index % 2 ? outcome.done("") : undefined))
            })
          )

          const pages: Array<ReadonlyArray<string>> = []
          let after = 0
          for (;;) {
            const page = yield* store.outcomes(record.id, { after, limit: 10 })
            if (page.length === 0) break
            pages.push(page.map(([, { cursor }]) => cursor))
            after = page.at(-1)?.[0] ?? 0
          }

          assert.deepStrictEqual(pages.map((page) => page.length), [10, 10, 5])
          assert.deepStrictEqual(pages.flat(), all)
        }))

      test("can be those of a fan-out, of some tags, or none", (store) =>
        Effect.gen(function*() {
          const record = yield* running(store, "a", 1)
          yield* store.flush(
            record.id,
            flush(1, {
              rows: [
                row("1", outcome.failed("")),
                row("2", outcome.done("")),
                row("3", outcome.skipped(""), "folders"),
                row("4", outcome.failed(""), "folders"),
                row("5", outcome.skipped(""))
              ]
            })
          )

          assert.deepStrictEqual(yield* cursors(store, "a", { fanOut: "files" }), ["1", "2", "5"])
          assert.deepStrictEqual(yield* cursors(store, "a", { tags: ["Failed"] }), ["1", "4"])
          assert.deepStrictEqual(yield* cursors(store, "a", { tags: ["Skipped", "Done", "Done"] }), ["2", "3", "5"])
          assert.deepStrictEqual(yield* cursors(store, "a", { tags: ["Skipped"], fanOut: "folders" }), ["3"])
          assert.deepStrictEqual(yield* cursors(store, "a", { tags: [] }), [])
          assert.deepStrictEqual(yield* cursors(store, "a", { limit: 2, tags: ["Done", "Skipped"] }), ["2", "3"])
          assert.deepStrictEqual(yield* cursors(store, "a", { limit: 0 }), [])
          assert.deepStrictEqual(yield* cursors(store, "a", { limit: Infinity }), ["1", "2", "3", "4", "5"])
          const newest = { newestFirst: true, limit: 2 }
          assert.deepStrictEqual(yield* cursors(store, "a", newest), ["5", "4"])
          assert.deepStrictEqual(yield* cursors(store, "a", { ...newest, tags: ["Failed", "Done"] }), ["4", "2"])
          assert.deepStrictEqual(yield* cursors(store, "nobody"), [])
          assert.strictEqual(yield* store.failures(record.id), 2)
          assert.strictEqual(yield* store.failures(id("nobody")), 0)
        }))
    })

    describe("log", () => {
      test("keeps its newest lines, in order, each job its own", (store) =>
        Effect.gen(function*() {
          yield* running(store, "a", 1)
          yield* running(store, "b", 2)
          const line = (message: string) => ({ at: 5, level: "Warning" as const, message })
          yield* store.log(id("b"), 2, line("mine"))
          const written = Array.from({ length: JobStore.logLimit + 5 }, (_, index) => `${index}`)

          yield* Effect.forEach(written, (message) => store.log(id("a"), 1, line(message)))

          assert.deepStrictEqual(yield* messages(store, "a"), written.slice(5))
          assert.deepStrictEqual(yield* messages(store, "b"), ["claimed", "mine"])
          const [first, second] = yield* store.logs(id("a"), { after: 0, limit: 2 })
          assert.deepInclude(first, line("5"))
          const after = second?.seq ?? 0
          assert.deepStrictEqual(yield* messages(store, "a", { after, limit: 1 }), ["7"])
          const newest = yield* store.logs(id("a"), { newestFirst: true, after, limit: 2 })
          assert.deepStrictEqual(newest.map(({ message }) => message), written.slice(-2).toReversed())
          assert.deepStrictEqual(yield* store.logs(id("a"), { newestFirst: true, after: 1e9, limit: 2 }), [])
        }))

      test("is bounded for the lines that changes write, too", (store) =>
        Effect.gen(function*() {
          let record = yield* store.insert(job("a"))
          for (let index = 0; index <= JobStore.logLimit; index++) record = yield* store.put(record, `${index}`)

          const lines = yield* messages(store, "a")

          assert.strictEqual(lines.length, JobStore.logLimit)
          assert.strictEqual(lines[0], "1")
        }))

      test("of an unknown job is empty", (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual(yield* messages(store, "nobody"), [])
        }))
    })

    describe("list", () => {
      test("gives the newest first; those of one time in the order of their coming", (store) =>
        Effect.gen(function*() {
          for (const [name, createdAt] of [["a", 2], ["b", 3], ["c", 1], ["d", 2], ["e", 2.5]] as const) {
            yield* store.insert(job(name, { createdAt }))
          }

          assert.deepStrictEqual(yield* ids(store.list({ limit: 10 })), ["b", "e", "d", "a", "c"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 2 })), ["b", "e"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 0 })), [])
        }))

      test("goes on behind the last job of a page, also among jobs of one time", (store) =>
        Effect.gen(function*() {
          for (const [name, createdAt] of [["a", 2], ["b", 2], ["c", 1], ["d", 2], ["e", 3]] as const) {
            yield* store.insert(
              job(name, { createdAt, state: name === "b" ? Failed.make(counters) : JobState.initial })
            )
          }

          const found: Array<string> = []
          let page = yield* store.list({ limit: 2 })
          while (page.length > 0) {
            found.push(...page.map(({ id }) => id))
            page = yield* store.list({ limit: 2, before: page.at(-1) })
          }

          assert.deepStrictEqual(found, ["e", "d", "b", "a", "c"])
          const gone = { createdAt: 2, id: id("gone") }
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, before: gone })), ["c"])
          const queued = { limit: 10, states: ["Queued" as const], before: { createdAt: 2, id: id("b") } }
          assert.deepStrictEqual(yield* ids(store.list(queued)), ["a", "c"])
        }))

      test("gives only jobs of a schedule, or from a time on", (store) =>
        Effect.gen(function*() {
          for (const [at, name] of ["nightly", "hourly", "nightly", ...oddities].entries()) {
            const scheduled = Option.some({ schedule: name, at })
            yield* store.insert(job(`${at}`, { scheduled, createdAt: at }))
          }
          yield* running(store, "by hand", 1, { createdAt: 50 })

          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, schedule: "nightly" })), ["2", "0"])
          const second = { createdAt: 2, id: id("2") }
          const nightly = { limit: 10, schedule: "nightly", states: ["Queued" as const] }
          assert.deepStrictEqual(yield* ids(store.list({ ...nightly, before: second })), ["0"])
          assert.deepStrictEqual(yield* ids(store.list({ ...nightly, since: 1 })), ["2"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, schedule: "never" })), [])
          for (const [n, name] of oddities.entries()) {
            assert.deepStrictEqual(yield* ids(store.list({ limit: 10, schedule: name })), [`${n + 3}`])
          }
          assert.deepStrictEqual(yield* ids(store.list({ limit: 2, since: 14 })), ["by hand", "15"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, since: 51 })), [])
        }))

      test("gives only jobs of the states and names that are asked for", (store) =>
        Effect.gen(function*() {
          yield* store.insert(job("q1"))
          yield* store.insert(job("q2", { name: "move" }))
          yield* store.insert(job("f1", { state: Failed.make(counters), name: "hash" }))
          yield* running(store, "r1", 1, { name: "move" })

          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, states: ["Queued"] })), ["q2", "q1"])
          assert.deepStrictEqual(
            yield* ids(store.list({ limit: 10, states: ["Running", "Failed", "Running", "Paused"] })),
            ["r1", "f1"]
          )
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, names: ["move", "hash"] })), ["r1", "f1", "q2"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, states: ["Queued"], names: ["move"] })), ["q2"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, names: [] })), [])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, states: [] })), [])
        }))

      test("gives the jobs of a key, in whatever state, the newest first", (store) =>
        Effect.gen(function*() {
          const long = "k\0\udc80".repeat(2000)
          for (const [name, key] of [["a", "k"], ["b", long], ["c", `${long}!`], ["d", "k"]] as const) {
            const over = { createdAt: name.charCodeAt(0), ...finished(1) }
            yield* store.insert(job(name, { idempotencyKey: Option.some(key), ...over }))
          }
          yield* store.insert(job("e", { idempotencyKey: Option.some("k"), createdAt: 200 }))
          yield* store.insert(job("f", { idempotencyKey: Option.some("k"), createdAt: 300, name: "move" }))
          yield* store.insert(job("g", { createdAt: 400 }))

          const names = ["copy"]
          assert.deepStrictEqual(
            yield* ids(store.list({ limit: 10, names, idempotencyKey: "k" })),
            ["e", "d", "a"]
          )
          assert.deepStrictEqual(yield* ids(store.list({ limit: 1, names, idempotencyKey: "k" })), ["e"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, idempotencyKey: long })), ["b"])
          assert.deepStrictEqual(
            yield* ids(store.list({ limit: 10, names, idempotencyKey: "k", states: ["Queued"] })),
            ["e"]
          )
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, names, idempotencyKey: "K" })), [])
        }))

      test("gives the jobs whose ids begin alike, the newest first", (store) =>
        Effect.gen(function*() {
          const all = ["4k2m", "4k2", "4k", "4k3", "5", "4k2z", "4K2", "4k2\u{10fffe}"]
          for (const [n, name] of all.entries()) {
            yield* store.insert(job(name, { createdAt: n, ...(n === 1 ? finished(1) : {}) }))
          }
          const found = (idPrefix: string, more = {}) => ids(store.list({ limit: 10, idPrefix, ...more }))
          assert.deepStrictEqual(yield* found("4k2"), ["4k2\u{10fffe}", "4k2z", "4k2", "4k2m"])
          assert.deepStrictEqual(yield* found("4k2", { states: ["Queued"], limit: 2 }), ["4k2\u{10fffe}", "4k2z"])
          assert.deepStrictEqual(yield* found("4k2m"), ["4k2m"])
          assert.deepStrictEqual(yield* found("4k2m0"), [])
          assert.strictEqual((yield* found("")).length, all.length)
        }))

      test("gives jobs with their heartbeats and progress, if that is asked for", (store) =>
        Effect.gen(function*() {
          yield* running(store, "a", 1)
          yield* store.beat(id("a"), 1, progressOf(5))
          yield* store.insert(job("b", { createdAt: 2000 }))
          const listed = yield* store.listWithPulse({ limit: 10 })
          assert.deepStrictEqual(listed.map(({ record }) => record), yield* store.list({ limit: 10 }))
          const pulses = yield* Effect.forEach(listed, ({ record }) => store.pulse(record.id))
          assert.deepStrictEqual(listed.map(({ beat, progress }) => ({ beat, progress })), pulses)
          assert.deepStrictEqual(listed.find(({ record }) => record.id === "a")?.progress, progressOf(5))
          assert.deepStrictEqual(yield* store.listWithPulse({ limit: 10, names: [] }), [])
        }))

      test("gives the jobs of a tag, the newest first, as long as they are there", (store) =>
        Effect.gen(function*() {
          const tags: Record<string, ReadonlyArray<string>> = { a: ["x"], b: ["x", "\0y\udc80"], c: [], d: ["x"] }
          for (const [name, of] of Object.entries(tags)) {
            const over = name === "a" ? finished(1) : {}
            yield* store.insert(job(name, { tags: of, createdAt: name.charCodeAt(0), ...over }))
          }
          const before = yield* store.get(id("d"))

          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, tag: "x" })), ["d", "b", "a"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, tag: "x", states: ["Queued"] })), ["d", "b"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 1, tag: "x", before })), ["b"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, tag: "\0y\udc80" })), ["b"])
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, tag: "y" })), [])
          assert.deepStrictEqual((yield* store.get(id("b"))).tags, ["x", "\0y\udc80"])
          yield* store.prune(2)
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, tag: "x" })), ["d", "b"])
          yield* store.insert(job("a", { createdAt: 300 }))
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10, tag: "x" })), ["d", "b"])
        }))
    })

    describe("look and due", () => {
      const copies = { kinds: [{ name: "copy", version: 1 }], except: [], now: 1_000, limit: 10 }

      test("name what is queued, each kind once", (store) =>
        Effect.gen(function*() {
          assert.deepStrictEqual((yield* store.look(1_000)).kinds, [])
          for (const [name, version] of [["b", 2], ["a", 1], ["b", 1], ["b", 2], ["c\udc80", 3], ["\\", 1]] as const) {
            yield* store.insert(job(`${name} ${version} ${yield* Random.nextInt}`, { name, version, availableAt: 1e9 }))
          }
          yield* running(store, "running", 1, { name: "r" })
          yield* store.insert(job("finished", { name: "f", ...finished(1) }))

          const kinds = (yield* store.look(1_000)).kinds.map(({ name, version }) => `${name} ${version}`)

          assert.deepStrictEqual(kinds.toSorted(), ["\\ 1", "a 1", "b 1", "b 2", "c\udc80 3"])
        }))

      test("give the more urgent first, then the older, and not more than is wanted", (store) =>
        Effect.gen(function*() {
          for (
            const [name, priority, createdAt] of [
              ["a", 0, 3],
              ["b", 0, 2],
              ["c", -1, 1],
              ["d", 1, 4],
              ["e", 0, 2],
              ["f", 1, 4.5]
            ] as const
          ) yield* store.insert(job(name, { priority, createdAt }))

          assert.deepStrictEqual(yield* ids(store.due(copies)), ["d", "f", "b", "e", "a", "c"])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, limit: 3 })), ["d", "f", "b"])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, limit: 0 })), [])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, ids: [id("c"), id("f"), id("d")], limit: 2 })), [
            "d",
            "f"
          ])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, except: [id("d"), id("b")], limit: 3 })), [
            "f",
            "e",
            "a"
          ])
        }))

      test("give only what is queued and due, of the kinds and ids that are wanted", (store) =>
        Effect.gen(function*() {
          yield* store.insert(job("copy"))
          yield* store.insert(job("later", { availableAt: 1_001 }))
          yield* store.insert(job("newer", { version: 2 }))
          yield* store.insert(job("move", { name: "move" }))
          yield* store.insert(job("paused", { state: Paused.make({ ...counters, by: "person" }) }))
          yield* running(store, "running", 1)
          const named = [id("move"), id("later"), id("paused"), id("running"), id("nobody")]

          assert.deepStrictEqual(yield* ids(store.due(copies)), ["copy"])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, now: 1_001 })), ["copy", "later"])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, ids: named })), [])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, ids: [] })), [])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, kinds: [], ids: named })), [])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, kinds: [] })), [])
          const kinds = [{ name: "move", version: 1 }, { name: "copy", version: 2 }, { name: "copy", version: 3 }]
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, kinds })), ["newer", "move"])
          assert.deepStrictEqual(yield* ids(store.due({ ...copies, kinds, ids: named })), ["move"])
          assert.deepStrictEqual(yield* store.due(copies), [yield* store.get(id("copy"))])
        }))

      test("tell who runs what", (store) =>
        Effect.gen(function*() {
          yield* store.insert(job("queued"))
          const one = yield* running(store, "one", 1)
          const two = yield* running(store, "two", 7, { name: "move", version: 3 })
          yield* store.beat(two.id, 7)

          const { held } = yield* store.look(1_000)

          assert.deepStrictEqual(held, [
            { id: one.id, name: "copy", version: 1, lease: one.lease, parent: one.parent, beat: 0 },
            { id: two.id, name: "move", version: 3, lease: two.lease, parent: two.parent, beat: 1 }
          ])
        }))
    })

    describe("children", () => {
      const { Queued } = JobState.JobState.cases
      const child = (text: string, parent: string, name = text, fields: Fields = {}) =>
        job(text, { parent: Option.some({ id: id(parent), name, attempt: 1, tries: 0 }), ...fields })
      const astray = (store: Store) =>
        Effect.map(store.astray, (found) => found.map(({ id, wish }) => `${id} ${wish}`).toSorted())

      test("are stored with their parents, once for each name", (store) =>
        Effect.gen(function*() {
          yield* running(store, "parent", 1, { ownersLost: 2 })
          yield* running(store, "other", 1)

          const stored = yield* store.insertChild(child("a", "parent", "\udc80 one"), 1)

          assert.deepStrictEqual(stored, child("a", "parent", "\udc80 one", { revision: 1 }))
          assert.deepStrictEqual(yield* store.get(id("a")), stored)
          assert.strictEqual((yield* store.get(id("parent"))).ownersLost, 0)
          assert.deepStrictEqual(yield* store.insertChild(child("b", "parent", "\udc80 one"), 1), stored)
          assert.strictEqual((yield* store.insertChild(child("c", "parent", "two"), 1)).id, id("c"))
          assert.strictEqual((yield* store.insertChild(child("d", "other", "\udc80 one"), 1)).id, id("d"))
          assert.deepStrictEqual(yield* store.child(id("parent"), "\udc80 one"), Option.some(stored))
          assert.deepStrictEqual(yield* store.child(id("parent"), "three"), Option.none())
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10 })), ["d", "c", "a", "other", "parent"])
        }))

      test("are stored for nobody but the owner of their parent", (store) =>
        Effect.gen(function*() {
          const parent = yield* running(store, "parent", 2)

          assert.strictEqual(yield* reasonOf(store.insertChild(child("a", "parent"), 1)), "Fenced")
          assert.strictEqual(yield* reasonOf(store.insertChild(child("a", "nobody"), 2)), "Fenced")
          assert.strictEqual(yield* reasonOf(store.insertChild(job("a"), 2)), "JobConflict")
          yield* store.put(parent.with(finished(5)), "ended")
          assert.strictEqual(yield* reasonOf(store.insertChild(child("a", "parent"), 2)), "Fenced")
          assert.strictEqual(yield* reasonOf(store.get(id("a"))), "JobNotFound")
        }))

      test("give way to jobs that have their exclusive keys", (store) =>
        Effect.gen(function*() {
          yield* running(store, "parent", 1)
          const key = { exclusiveKey: Option.some("k") }
          const twin = yield* store.insert(job("twin", key))

          assert.deepStrictEqual(yield* store.insertChild(child("a", "parent", "a", key), 1), twin)
          assert.deepStrictEqual(yield* store.child(id("parent"), "a"), Option.none())
        }))

      test("of which one is cancelled get another one in its place, and that alone", (store) =>
        Effect.gen(function*() {
          yield* running(store, "parent", 1)
          const first = yield* store.insertChild(child("first", "parent", "x"), 1)
          yield* store.put(first.with({ state: Cancelled.make(counters) }), "cancelled")
          assert.strictEqual(Option.getOrThrow(yield* store.child(id("parent"), "x")).id, id("first"))

          yield* store.insertChild(child("second", "parent", "x"), 1)

          assert.strictEqual((yield* store.insertChild(child("third", "parent", "x"), 1)).id, id("second"))
          assert.strictEqual(Option.getOrThrow(yield* store.child(id("parent"), "x")).id, id("second"))
          assert.sameMembers(Array.from(yield* store.childTags(id("parent"))), ["Cancelled", "Queued"])
        }))

      test("tell their states, each once", (store) =>
        Effect.gen(function*() {
          yield* running(store, "parent", 1)
          assert.deepStrictEqual(yield* store.childTags(id("parent")), [])
          for (const name of ["a", "b", "c"]) yield* store.insertChild(child(name, "parent"), 1)
          const b = yield* store.get(id("b"))
          yield* store.put(b.with({ state: Failed.make(counters) }), "failed")

          assert.sameMembers(Array.from(yield* store.childTags(id("parent"))), ["Queued", "Failed"])
        }))

      test("are counted by their states, those of several parents at once", (store) =>
        Effect.gen(function*() {
          for (const parent of ["one", "two", "three"]) yield* running(store, parent, 1)
          for (const name of ["a", "b", "c"]) yield* store.insertChild(child(name, "one"), 1)
          yield* store.insertChild(child("d", "two"), 1)
          yield* store.insertChild(child("e", "three"), 1)
          const b = yield* store.get(id("b"))
          yield* store.put(b.with({ state: Failed.make(counters) }), "failed")

          const counts = yield* store.childCounts(["one", "two", "a", "nobody"].map(id))
          assert.strictEqual(counts.size, 2)
          assert.deepStrictEqual(counts.get(id("one")), { Failed: 1, Queued: 2 })
          assert.deepStrictEqual(counts.get(id("two")), { Queued: 1 })
          assert.strictEqual((yield* store.childCounts([])).size, 0)
        }))

      test("are due by their parents", (store) =>
        Effect.gen(function*() {
          yield* running(store, "parent", 1)
          yield* running(store, "other", 1)
          yield* store.insertChild(child("a", "parent", "a", { createdAt: 2 }), 1)
          yield* store.insertChild(child("b", "parent", "b", { createdAt: 1 }), 1)
          yield* store.insertChild(child("c", "parent", "c", { availableAt: 2_000 }), 1)
          yield* store.insertChild(child("d", "other"), 1)
          yield* store.insert(job("e"))
          const due = { kinds: [{ name: "copy", version: 1 }], except: [], now: 1_000, limit: 10 }

          assert.deepStrictEqual(yield* ids(store.due({ ...due, parents: [id("parent")] })), ["b", "a"])
          assert.deepStrictEqual(yield* ids(store.due({ ...due, parents: [id("parent")], limit: 1 })), ["b"])
          assert.deepStrictEqual(
            yield* ids(store.due({ ...due, parents: [id("parent"), id("other")] })),
            ["b", "a", "d"]
          )
          const others = [{ name: "move", version: 1 }]
          assert.deepStrictEqual(yield* ids(store.due({ ...due, kinds: others, parents: [id("parent")] })), [])
          assert.deepStrictEqual(yield* ids(store.due({ ...due, parents: [] })), [])
        }))

      const states = {
        queued: { state: Queued.make(counters) },
        running: owned(1),
        asked: { ...owned(1), request: Option.some("Pause" as const) },
        askedWith: { ...owned(1), request: Option.some("PauseWithParent" as const) },
        cancelling: { ...owned(1), request: Option.some("Cancel" as const) },
        lost: { state: Queued.make(counters), token: 1, request: Option.some("Cancel" as const) },
        byPerson: { state: Paused.make({ ...counters, by: "person" }) },
        byParent: { state: Paused.make({ ...counters, by: "parent" }) },
        failed: { state: Failed.make(counters) },
        cancelled: { state: Cancelled.make(counters) }
      } as const satisfies Record<string, Fields>
      const toCancel = ["queued", "running", "asked", "askedWith", "byPerson", "byParent"].map((name) =>
        `${name} Cancel`
      )
      const toPause = ["queued Pause", "running Pause"]
      const toRun = ["askedWith Run", "byParent Run"]
      const wishes = [
        ["queued", toRun],
        ["running", toRun],
        ["asked", toPause],
        ["askedWith", toPause],
        ["cancelling", toCancel],
        ["byPerson", toPause],
        ["byParent", toPause],
        ["failed", toCancel],
        ["cancelled", toCancel]
      ] as const
      for (const [parent, expected] of wishes) {
        test(`are astray as it follows from a parent that is ${parent}`, (store) =>
          Effect.gen(function*() {
            const record = yield* running(store, "parent", 1)
            for (const [name, fields] of Object.entries(states)) {
              const stored = yield* store.insertChild(child(name, "parent"), 1)
              yield* store.put(stored.with(fields), name)
            }
            // Another family, which is in step.
            yield* running(store, "zother", 1)
            yield* store.insertChild(child("zchild", "zother"), 1)
            yield* store.put(record.with({ lease: Option.none(), ...states[parent] }), parent)

            assert.deepStrictEqual(yield* astray(store), Array.from(expected).toSorted())
          }))
      }

      test("that are asked to cancel are not due, but are found by who can clean up after them", (store) =>
        Effect.gen(function*() {
          const asked = Effect.fnUntraced(function*(of: JobStore.JobRecord, fields: Fields = {}) {
            yield* store.put(of.with({ ...states.lost, ...fields }), "asked to cancel")
          })
          yield* running(store, "parent", 1)
          yield* asked(yield* store.insertChild(child("a", "parent", "a", { createdAt: 3 }), 1))
          yield* asked(yield* store.insert(job("b", { createdAt: 2 })), { availableAt: 9_000 })
          yield* asked(yield* store.insert(job("c", { createdAt: 1 })))
          yield* asked(yield* store.insert(job("d", { name: "other" })), { priority: 1 })
          yield* store.insert(job("queued"))
          const { name, version } = job("any")
          const nothing = { names: [], ids: [], children: [], except: [], limit: 10 }
          const due = { kinds: [{ name, version }], except: [], now: 1_000, limit: 10 }

          assert.isTrue((yield* store.look(1_000)).hasJobsToCancel)
          assert.deepStrictEqual(yield* ids(store.due(due)), ["queued"])
          assert.deepStrictEqual(yield* ids(store.due({ ...due, ids: [id("a")] })), [])
          assert.deepStrictEqual(yield* ids(store.due({ ...due, parents: [id("parent")] })), [])
          assert.deepStrictEqual(yield* ids(store.toCancel(nothing)), [])
          assert.deepStrictEqual(yield* ids(store.toCancel({ ...nothing, names: [name] })), ["c", "b", "a"])
          assert.deepStrictEqual(yield* ids(store.toCancel({ ...nothing, children: [name] })), ["a"])
          assert.deepStrictEqual(
            yield* ids(
              store.toCancel({ ...nothing, names: ["other"], ids: [id("b"), id("queued")], children: [name] })
            ),
            ["d", "b", "a"]
          )
          assert.deepStrictEqual(
            yield* ids(store.toCancel({ ...nothing, names: [name], except: [id("c")], limit: 1 })),
            ["b"]
          )
        }))

      test("that are asked to cancel keep no others from being found, however many they are", (store) =>
        Effect.gen(function*() {
          const parent = yield* running(store, "parent", 1)
          for (let i = 0; i < 110; i++) {
            const stored = yield* store.insertChild(child(`child-${i}`, "parent"), 1)
            yield* store.put(stored.with(states.lost), "asked to cancel")
          }
          const fresh = yield* store.insertChild(child("fresh", "parent"), 1)
          yield* store.put(parent.with({ state: Cancelled.make(counters), lease: Option.none() }), "cancelled")

          assert.deepStrictEqual(yield* store.astray, [{ id: fresh.id, wish: "Cancel" }])
        }))

      test("are listed by their parents", (store) =>
        Effect.gen(function*() {
          yield* running(store, "parent", 1)
          yield* running(store, "other", 1)
          for (const name of ["a", "b", "c"]) yield* store.insertChild(child(name, "parent"), 1)
          yield* store.insertChild(child("d", "other"), 1)
          const b = yield* store.get(id("b"))
          yield* store.put(b.with({ state: Failed.make(counters) }), "failed")
          const filter = { parent: id("parent"), states: ["Queued", "Running"] as const, limit: 10 }

          assert.deepStrictEqual(yield* ids(store.list(filter)), ["c", "a"])
          assert.deepStrictEqual(yield* ids(store.list({ ...filter, before: yield* store.get(id("c")) })), ["a"])
        }))

      test("are astray without their parents, and not more than 100 at once", (store) =>
        Effect.gen(function*() {
          const parent = yield* running(store, "parent", 1)
          for (let i = 0; i < 101; i++) yield* store.insertChild(child(`child-${i}`, "parent"), 1)
          assert.deepStrictEqual(yield* astray(store), [])
          yield* store.put(parent.with({ state: Cancelled.make(counters), lease: Option.none() }), "cancelled")

          assert.strictEqual((yield* astray(store)).length, 100)
        }))

      test("are pruned with their parents, which stay as long as they have active ones", (store) =>
        Effect.gen(function*() {
          const parent = yield* running(store, "parent", 1)
          const first = yield* store.insertChild(child("first", "parent"), 1)
          const run = yield* store.put(first.with(owned(1)), "claimed")
          const grandchild = yield* store.insertChild(child("grandchild", "first"), 1)
          const second = yield* store.insertChild(child("second", "parent"), 1)
          yield* store.put(run.with(finished(1)), "ended")
          yield* store.put(grandchild.with(finished(1)), "ended")
          assert.strictEqual(yield* store.prune(10), 0)

          const over = yield* store.put(parent.with(finished(5)), "ended")
          assert.strictEqual(yield* store.prune(10), 0)
          yield* store.put(second.with({ state: Cancelled.make(counters), finishedAt: Option.some(6) }), "cancelled")
          assert.strictEqual(yield* store.prune(5), 0)

          assert.strictEqual(yield* store.prune(10), 4)
          assert.strictEqual(yield* reasonOf(store.get(over.id)), "JobNotFound")
        }))
    })

    describe("schedules", () => {
      const names = (store: Store, filter: { readonly now: number; readonly jobs?: ReadonlyArray<string> }) =>
        Effect.map(store.dueSchedules({ limit: 10, ...filter }), (found) => found.map(({ name }) => name))

      for (const text of ["nightly", ...oddities]) {
        test(`are kept as they are: ${JSON.stringify(text)}`, (store) =>
          Effect.gen(function*() {
            const full = schedule(text, {
              job: text,
              payload: { [text]: [text, null] },
              timeZone: "Europe/Berlin",
              missed: "all",
              idempotencyKey: Option.some(text),
              exclusiveKey: Option.some("e"),
              priority: -3,
              nextAt: 1_234.5,
              overlap: "queue",
              failures: Option.some(3),
              waiting: [1_000, 1_200.5],
              resumedAt: Option.some(7),
              lastAt: Option.some(900),
              lastJob: Option.some(id(text))
            })
            assert.isTrue(yield* store.putSchedule(full, []))

            const stored = full.with({ revision: 1 })
            assert.deepStrictEqual(yield* store.schedule(text), Option.some(stored))
            assert.deepStrictEqual(yield* store.schedules, [stored])
            assert.deepStrictEqual(yield* names(store, { now: 2_000, jobs: [text] }), [text])
            assert.isTrue(yield* store.removeSchedule(text))
            assert.isFalse(yield* store.removeSchedule(text))
            assert.deepStrictEqual(yield* store.schedule(text), Option.none())
          }))
      }

      test("are moved on only where they are due", (store) =>
        Effect.gen(function*() {
          yield* store.putSchedule(schedule("s", { nextAt: 2_000 }), [])
          const moved = schedule("s", { nextAt: 3_000, revision: 1 })

          assert.isFalse(yield* store.putSchedule(moved, [job("a")], 1_999))
          assert.strictEqual(yield* reasonOf(store.get(id("a"))), "JobNotFound")
          assert.isTrue(yield* store.putSchedule(moved, [job("a")], 2_000))
        }))

      test("are changed by who has read them last, and by nobody else", (store) =>
        Effect.gen(function*() {
          assert.isTrue(yield* store.putSchedule(schedule("s"), []))
          assert.isFalse(yield* store.putSchedule(schedule("s", { priority: 1 }), [job("a")]))
          const moves = yield* Effect.forEach(
            Array.from({ length: 10 }, (_, n) => n),
            (n) =>
              store.putSchedule(schedule("s", { nextAt: 2_000 + n, revision: 1 }), [job(`job-${n}`), job(`x-${n}`)]),
            { concurrency: "unbounded" }
          )

          const [winner] = moves.flatMap((moved, n) => moved ? [n] : [])
          assert.strictEqual(moves.filter(Boolean).length, 1)
          assert.strictEqual(Option.getOrThrow(yield* store.schedule("s")).nextAt, 2_000 + (winner ?? 0))
          assert.deepStrictEqual(yield* ids(store.list({ limit: 30 })), [`x-${winner}`, `job-${winner}`])
          assert.isFalse(yield* store.putSchedule(schedule("gone", { revision: 1 }), [job("b")]))
          assert.deepStrictEqual((yield* store.schedules).map(({ name }) => name), ["s"])
        }))

      test("start no job that has a key of an active one, and store nothing where a job can't be", (store) =>
        Effect.gen(function*() {
          const key = { idempotencyKey: Option.some("k") }
          yield* store.insert(job("active", key))
          assert.isTrue(yield* store.putSchedule(schedule("s"), [job("twin", key), job("other")]))
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10 })), ["other", "active"])

          const moved = schedule("s", { nextAt: 5_000, revision: 1 })
          assert.strictEqual(yield* reasonOf(store.putSchedule(moved, [job("new"), job("other")])), "JobConflict")
          assert.strictEqual(Option.getOrThrow(yield* store.schedule("s")).revision, 1)
          assert.deepStrictEqual(yield* ids(store.list({ limit: 10 })), ["other", "active"])
        }))

      test("have the job as their last one that stands for the one that they start", (store) =>
        Effect.gen(function*() {
          const key = { exclusiveKey: Option.some("k") }
          yield* store.insert(job("active", key))
          const last = (name: string) => ({ lastJob: Option.some(id(name)) })
          yield* store.putSchedule(schedule("s", last("twin")), [job("other"), job("twin", key)])
          assert.deepInclude(Option.getOrThrow(yield* store.schedule("s")), { ...last("active"), revision: 1 })
          yield* store.putSchedule(schedule("s", { ...last("new"), revision: 1 }), [job("other twin", key), job("new")])
          assert.deepInclude(Option.getOrThrow(yield* store.schedule("s")), { ...last("new"), revision: 2 })
        }))

      test("are due at once while ticks wait, by their jitter, and never while they are paused", (store) =>
        Effect.gen(function*() {
          const hour = 3_600_000
          const daily = { cron: "0 0 * * *", nextAt: 24 * hour }
          const paused = { pausedAt: Option.some(1), pausedBy: Option.some("person" as const) }
          yield* store.putSchedule(schedule("late", { ...daily, jitterMillis: 12 * hour }), [])
          yield* store.putSchedule(schedule("waiting", { ...daily, waiting: [2, 3] }), [])
          yield* store.putSchedule(schedule("paused", { ...daily, nextAt: 1, ...paused }), [])

          assert.deepStrictEqual(yield* names(store, { now: 1 }), [])
          assert.isFalse((yield* store.look(1)).hasDueSchedules)
          assert.deepStrictEqual(yield* names(store, { now: 2 }), ["waiting"])
          assert.isTrue((yield* store.look(2)).hasDueSchedules)
          assert.deepStrictEqual(yield* names(store, { now: 24 * hour }), ["waiting"])
          assert.deepStrictEqual(yield* names(store, { now: 36 * hour }), ["waiting", "late"])
          assert.deepStrictEqual(yield* names(store, { now: 2 ** 52 }), ["waiting", "late"])
          const moved = schedule("late", { ...daily, nextAt: 48 * hour, revision: 1 })
          assert.isFalse(yield* store.putSchedule(moved, [], 24 * hour))
          assert.isTrue(yield* store.putSchedule(moved, [], 36 * hour))
        }))

      test("are due by their next ticks, of all jobs or of some", (store) =>
        Effect.gen(function*() {
          yield* store.putSchedule(schedule("a", { nextAt: 3 }), [])
          yield* store.putSchedule(schedule("b", { nextAt: 1, job: "move" }), [])
          yield* store.putSchedule(schedule("c", { nextAt: 2 }), [])
          yield* store.putSchedule(schedule("d", { nextAt: 4 }), [])

          assert.deepStrictEqual(yield* names(store, { now: 3 }), ["b", "c", "a"])
          assert.deepStrictEqual(yield* names(store, { now: 3, jobs: ["copy"] }), ["c", "a"])
          assert.deepStrictEqual(yield* names(store, { now: 3, jobs: [] }), [])
          assert.deepStrictEqual((yield* store.dueSchedules({ now: 9, limit: 1 })).map(({ name }) => name), ["b"])
        }))
    })

    describe("concurrencies", () => {
      const claim = (store: Store, record: JobStore.JobRecord) => store.put(record.with(owned(1)), "claimed")

      test("are kept as they are, changed, removed, and listed by their names", (store) =>
        Effect.gen(function*() {
          for (const text of oddities) {
            yield* store.setConcurrency(text, 7)
            yield* store.setConcurrency(text, 0)
            assert.deepStrictEqual(yield* store.concurrencies, [{ name: text, most: 0 }])
            assert.deepStrictEqual((yield* store.look(0)).full, [text])
            yield* store.setConcurrency(text, null)
            yield* store.setConcurrency(text, null)
            assert.deepStrictEqual(yield* store.concurrencies, [])
          }
          for (const name of ["b", "a", "c"]) yield* store.setConcurrency(name, 1)
          assert.deepStrictEqual((yield* store.concurrencies).map(({ name }) => name), ["a", "b", "c"])
        }))

      test("let as many jobs of a name begin, and the next one after an end", (store) =>
        Effect.gen(function*() {
          const part = (text: string) => store.insert(job(text, { name: "part" }))
          const [first, second, third] = [yield* part("a"), yield* part("b"), yield* part("c")]
          const other = yield* store.insert(job("other", { name: "other" }))
          yield* store.setConcurrency("part", 2)
          const running = yield* claim(store, first)
          assert.deepStrictEqual((yield* store.look(0)).full, [])
          yield* claim(store, second)

          assert.deepStrictEqual((yield* store.look(0)).full, ["part"])
          const { reason } = yield* Effect.flip(claim(store, third))
          assert.deepInclude(reason, { _tag: "ConcurrencyReached", job: "part", most: 2 })
          assert.deepStrictEqual(yield* store.get(third.id), third, "nothing is written")
          assert.strictEqual(yield* reasonOf(claim(store, third.with({ revision: 9 }))), "JobConflict")
          yield* claim(store, other)

          yield* store.put(running.with(finished(1)), "done")
          yield* claim(store, third)
        }))

      test("hold back no job that runs, that is to be cancelled, or whose parent has the same name", (store) =>
        Effect.gen(function*() {
          const parent = yield* running(store, "parent", 1)
          yield* store.setConcurrency("copy", 1)

          const asked = yield* store.put(parent.with({ request: Option.some("Pause") }), "asked")
          const cancelled = yield* store.insert(job("cancelled", { request: Option.some("Cancel") }))
          const cleaning = yield* claim(store, cancelled)
          yield* store.put(cleaning.with({ state: Cancelled.make(counters), lease: Option.none() }), "cancelled")
          const child = Option.some({ id: asked.id, name: "child", attempt: 1, tries: 0 })
          yield* claim(store, yield* store.insert(job("child", { parent: child })))

          assert.deepStrictEqual((yield* store.look(0)).full, ["copy"])
          assert.strictEqual(
            yield* reasonOf(Effect.flatMap(store.insert(job("next")), (next) => claim(store, next))),
            "ConcurrencyReached"
          )
          yield* store.put(asked.with(finished(1)), "done")
          assert.deepStrictEqual((yield* store.look(0)).full, [], "the child does not count")
        }))

      test("are kept by all who begin jobs at the same time", (store) =>
        Effect.gen(function*() {
          yield* store.setConcurrency("copy", 3)
          const texts = Array.from({ length: 24 }, (_, n) => `job ${n}`)
          const queued = yield* Effect.forEach(texts, (text) => store.insert(job(text)))

          const begun = yield* Effect.forEach(
            queued,
            (record) => Effect.result(claim(store, record)),
            { concurrency: "unbounded" }
          )

          assert.lengthOf(begun.filter(({ _tag }) => _tag === "Success"), 3)
          assert.lengthOf((yield* store.look(0)).held, 3)
        }))
    })

    describe("processes that claim jobs", () => {
      test("are known for a while, or until they have no places", (store) =>
        Effect.gen(function*() {
          const one = { owner, names: oddities, places: 4 }
          const two = { owner: new Owner({ machine: "\udc80", boot: "b", process: "two" }), names: [], places: 1 }
          yield* store.announce(one, 60_000)
          yield* store.announce({ ...two, places: 9 }, 60_000)
          yield* store.announce(two, 60_000)
          const known = yield* store.claimers
          assert.sameDeepMembers([...known], [one, two])

          yield* store.announce({ ...two, places: 0 }, 60_000)
          assert.deepStrictEqual(yield* store.claimers, [one])
          yield* store.announce(one, 0)
          assert.deepStrictEqual(yield* store.claimers, [])
        }))
    })

    describe("rates", () => {
      test("are kept as they are, changed and removed", (store) =>
        Effect.gen(function*() {
          for (const text of oddities) {
            yield* store.setRate(text, 0.1 + 0.2)
            assert.deepStrictEqual(yield* store.rates, [{ name: text, perSecond: 0.1 + 0.2 }])
            yield* store.setRate(text, 0)
            assert.deepStrictEqual(yield* store.rates, [{ name: text, perSecond: 0 }])
            assert.strictEqual(Option.getOrThrow(yield* store.takeTurns(text, 1)).count, 0)
            yield* store.setRate(text, null)
            yield* store.setRate(text, null)
            assert.deepStrictEqual(yield* store.rates, [])
            assert.deepStrictEqual(yield* store.takeTurns(text, 1), Option.none())
          }
        }))

      test("are listed by their names", (store) =>
        Effect.gen(function*() {
          for (const name of ["b", "a", "c"]) yield* store.setRate(name, 1)
          assert.deepStrictEqual((yield* store.rates).map(({ name }) => name), ["a", "b", "c"])
        }))

      test("give each turn to one caller, some at once, and none far ahead", (store) =>
        Effect.gen(function*() {
          yield* store.setRate("api", 40)
          const since = performance.now()
          const take = Effect.map(store.takeTurns("api", 3), Option.getOrThrow)
          const taken = yield* Effect.all(Array.from({ length: 20 }, () => take), { concurrency: "unbounded" })
          const passed = performance.now() - since
          const given = taken.flatMap(({ count, inMillis }) => count === 0 ? [] : [inMillis])
          for (const { count, everyMillis } of taken) {
            assert.include([0, 3], count)
            assert.strictEqual(everyMillis, 25)
          }
          // From 100 ms before now to 250 ms after it, and the last one reaches 75 ms farther.
          assert.isAtLeast(given.length, 4)
          assert.isAtMost(given.length * 75, 100 + 250 + 75 + passed)
          for (const { count, inMillis } of taken) if (count === 0) assert.isAtMost(inMillis, 75)
          assert.isAtMost(Option.getOrThrow(yield* store.takeTurns("api", 1000)).count, 4)
        }))

      test("let nobody wait for what an earlier rate had taken", (store) =>
        Effect.gen(function*() {
          yield* store.setRate("api", 0.001)
          assert.strictEqual(Option.getOrThrow(yield* store.takeTurns("api", 5)).count, 1)
          const slow = Option.getOrThrow(yield* store.takeTurns("api", 5))
          assert.strictEqual(slow.count, 0)
          assert.isAbove(slow.inMillis, 900_000)
          yield* store.setRate("api", 1000)
          const fast = Option.getOrThrow(yield* store.takeTurns("api", 5))
          assert.isAtMost(fast.inMillis, 100)
        }))
    })

    describe("prune", () => {
      test("removes finished jobs of before that time, with all that belongs to them", (store) =>
        Effect.gen(function*() {
          const full = function*(name: string, ending: Fields) {
            const record = yield* running(store, name, 1)
            const rows = Array.from({ length: 1_200 }, (_, index) => row(`${index}`))
            yield* store.flush(record.id, flush(1, { rows, checkpoint: "c" }))
            yield* store.saveOwnCheckpoint(record.id, { token: 1, name: "own", checkpoint: "c" })
            yield* store.saveHistory(record.id, 1, JobHistory.empty)
            yield* store.saveTasks(record.id, 1, JobTasks.empty)
            yield* store.put(record.with({ ...ending, updatedAt: 9 }), "ended")
          }
          yield* full("old", finished(10))
          yield* full("young", finished(20))
          yield* full("active", {})
          yield* store.insert(job("odd", { state: Failed.make(counters) }))

          assert.strictEqual(yield* store.prune(20), 1)

          assert.deepStrictEqual(yield* ids(store.list({ limit: 10 })), ["odd", "active", "young"])
          assert.strictEqual(yield* reasonOf(store.get(id("old"))), "JobNotFound")
          assert.strictEqual(yield* reasonOf(store.pulse(id("old"))), "JobNotFound")
          assert.deepStrictEqual(yield* cursors(store, "old"), [])
          assert.deepStrictEqual(yield* messages(store, "old"), [])
          assert.deepStrictEqual(yield* store.checkpoint(id("old"), "files"), Option.none())
          assert.deepStrictEqual(yield* store.history(id("old")), Option.none())
          assert.isTrue(Option.isSome(yield* store.history(id("young"))))
          assert.deepStrictEqual(yield* store.tasks(id("old")), Option.none())
          assert.isTrue(Option.isSome(yield* store.tasks(id("young"))))
          assert.deepStrictEqual(yield* store.ownCheckpoint(id("old"), "own"), Option.none())
          assert.strictEqual((yield* cursors(store, "young")).length, 1_000)
          assert.deepStrictEqual(yield* messages(store, "young"), ["claimed", "ended"])
          assert.deepStrictEqual(yield* store.checkpoint(id("active"), "files"), Option.some("c"))
          assert.strictEqual(yield* store.prune(20), 0)
        }))

      test("removes any number of jobs", (store) =>
        Effect.gen(function*() {
          const names = Array.from({ length: 1_100 }, (_, index) => `job-${index}`)
          yield* Effect.forEach(names, (name) => store.insert(job(name, finished(1))))

          assert.strictEqual(yield* store.prune(2), 1_100)
          assert.deepStrictEqual(yield* store.list({ limit: 10 }), [])
        }))
    })

    describe("text", () => {
      for (const text of oddities) {
        test(`survives as it is: ${JSON.stringify(text)}`, (store) =>
          Effect.gen(function*() {
            const record = job(text, {
              name: text,
              payload: { [text]: [text, { deep: text }] },
              idempotencyKey: Option.some(text),
              exclusiveKey: Option.some(text),
              exit: Option.some({ _tag: "Failure", error: [text], message: text })
            })
            const inserted = yield* store.insert(record)
            const lease = { token: 1, owner: new Owner({ machine: text, boot: text, process: text }) }
            const run = yield* store.put(inserted.with({ ...owned(1), lease: Option.some(lease) }), text)
            const stored = new JobStore.OutcomeRow({
              fanOut: text,
              cursor: text,
              key: text,
              payload: { [text]: text },
              origin: [text],
              outcome: { _tag: "Failed", failure: { _tag: "Error", error: { [text]: text }, message: text } },
              attempt: 1,
              at: 1
            })
            const progress = new Progress.Progress({ fanOuts: {}, totals: { [text]: 1 }, units: { [text]: 2 } })
            yield* store.flush(run.id, flush(1, { fanOut: text, rows: [stored], checkpoint: text, progress }))

            assert.deepStrictEqual(yield* store.get(run.id), run)
            assert.deepStrictEqual(yield* store.list({ limit: 1, names: [text] }), [run])
            assert.strictEqual(
              (yield* store.insert(job("twin", { name: text, exclusiveKey: Option.some(text) }))).id,
              run.id
            )
            const [outcome] = yield* store.outcomes(run.id, { after: 0, limit: 1, fanOut: text })
            assert.deepStrictEqual(outcome?.[1], stored)
            assert.deepStrictEqual(yield* store.checkpoint(run.id, text), Option.some(text))
            assert.deepStrictEqual((yield* store.pulse(run.id)).progress, progress)
            assert.deepStrictEqual(yield* messages(store, text), [text])
            yield* store.flush(run.id, flush(1, { fanOut: text, cleared: [text] }))
            assert.strictEqual(yield* store.failures(run.id), 0)
          }))
      }

      test("may be long, where it names an element or is a key", (store) =>
        Effect.gen(function*() {
          // Nothing that a database could compress.
          const hashes = Array.from(
            { length: 140 },
            (_, index) => createHash("sha256").update(`${index}`).digest("hex")
          )
          const [one, two] = [`${hashes.join("")}1`, `${hashes.join("")}2`]
          const record = yield* running(store, "a", 1, { idempotencyKey: Option.some(one) })
          yield* store.insert(job("b", { idempotencyKey: Option.some(two), exclusiveKey: Option.some(one) }))

          yield* store.flush(record.id, flush(1, { rows: [row(one), row(two)], checkpoint: one }))
          yield* store.flush(record.id, flush(1, { rows: [row(one)], cleared: [two] }))

          assert.deepStrictEqual(yield* cursors(store, "a"), [one])
          assert.strictEqual((yield* store.insert(job("x", { idempotencyKey: Option.some(two) }))).id, id("b"))
          assert.strictEqual((yield* store.insert(job("y", { exclusiveKey: Option.some(one) }))).id, id("b"))
          assert.strictEqual((yield* store.insert(job("z", { exclusiveKey: Option.some(two) }))).id, id("z"))
        }))

      test("that is alike is told apart", (store) =>
        Effect.gen(function*() {
          yield* Effect.forEach(oddities, (text) => store.insert(job(text, { idempotencyKey: Option.some(text) })))

          assert.sameMembers(Array.from(yield* ids(store.list({ limit: 100 }))), oddities)
        }))
    })
  })
}
