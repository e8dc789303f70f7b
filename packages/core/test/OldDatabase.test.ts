import { assert, describe, it } from "@effect/vitest"
import type { JobId } from "@fanout/core/JobId"
import type { JobRecord } from "@fanout/core/JobStore"
import { layerSqlite } from "@fanout/core/node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { DatabaseSync } from "node:sqlite"
import { process } from "./managers.ts"
import { Count, elements, Parent, programs } from "./OldJobs.ts"

/** A database of the sixth schema: `programs(true)` had left it when its process was killed. */
const dump = path.join(import.meta.dirname, "fixtures", "schema6.sql")

const openOld = Effect.gen(function*() {
  const folder = yield* Effect.acquireRelease(
    Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "fanout-"))),
    (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
  )
  const filename = path.join(folder, "old.db")
  const database = new DatabaseSync(filename)
  database.exec(fs.readFileSync(dump, "utf8"))
  database.close()
  const story: Array<string> = []
  yield* TestClock.adjust("179 minutes")
  const store = yield* Layer.build(layerSqlite({ filename }))
  const { jobs } = yield* Effect.provideContext(
    process([Count, Parent], programs(false, story), { concurrency: 32 }),
    Context.add(store, Scope.Scope, yield* Effect.scope)
  )
  return { jobs, story }
})

const nameOf = ({ payload }: JobRecord) => Schema.decodeUnknownSync(Count.payload)(payload).of

const pass = (seconds: number) => Effect.repeat(TestClock.adjust("250 millis"), { times: 4 * seconds })

/** What a program does of one job: elements by their numbers. */
const did = (of: string, numbers: ReadonlyArray<number>) => numbers.map((n) => `${of} ${n}`)

const all = Array.from({ length: elements }, (_, n) => n)
/** Those that had failed when the older program was stopped; and those that it had not come to the end of. */
const failed = [3, 8, 13]
const rest = all.filter((n) => n >= 12 && n !== 13)

const stopped = ["running", "person", "disk", "device", "child of paused parent", "child of running parent"]

describe("a database of an older version", () => {
  it.effect("is gone on with: each job ends as it should, and nothing is done twice", () =>
    Effect.gen(function*() {
      const { jobs, story } = yield* openOld
      const named = Effect.map(jobs.list(), (records) => new Map(records.map((record) => [nameOf(record), record])))
      const states = Effect.map(named, (named) =>
        Object.fromEntries(Array.from(named, ([name, { state }]) => [
          name,
          state._tag === "Paused" ? `Paused by ${state.by}` : state._tag
        ])))
      const ids = new Map(Array.from(yield* named, ([name, { id }]) => [name, id]))
      const ask = (ask: (id: JobId) => Effect.Effect<void, unknown>, names: ReadonlyArray<string>) =>
        Effect.forEach(names, (name) =>
          Option.match(Option.fromUndefinedOr(ids.get(name)), {
            onNone: () => Effect.die(new Error(name)),
            onSome: ask
          }))

      yield* pass(30)
      const untouched = { completed: "Completed", cancelled: "Cancelled" }
      assert.deepStrictEqual(yield* states, {
        ...untouched,
        queued: "Completed",
        running: "CompletedWithErrors",
        asked: "Cancelled",
        person: "Paused by person",
        disk: "Paused by disk",
        device: "Paused by device",
        "paused parent": "Paused by person",
        "child of paused parent": "Paused by parent",
        "running parent": "CompletedWithErrors",
        "child of running parent": "CompletedWithErrors",
        failed: "Failed",
        "with errors": "CompletedWithErrors"
      })

      yield* ask(jobs.resume, ["person", "disk", "device", "paused parent"])
      yield* pass(5)
      yield* ask(jobs.retry, ["failed", "with errors", "running", "person", "disk", "device", "paused parent"])
      yield* pass(5)
      assert.deepStrictEqual(yield* states, {
        ...untouched,
        asked: "Cancelled",
        "running parent": "CompletedWithErrors",
        "child of running parent": "CompletedWithErrors",
        ...Object.fromEntries(
          ["queued", "running", "person", "disk", "device", "paused parent", "child of paused parent", "failed"].concat(
            "with errors"
          ).map((name) => [name, "Completed"])
        )
      })

      assert.deepStrictEqual(
        story.toSorted(),
        [
          "asked is cleaned up",
          ...did("queued", all),
          ...did("failed", all),
          ...did("with errors", [...failed, 18]),
          ...stopped.flatMap((of) => did(of, of === "child of running parent" ? rest : [...rest, ...failed]))
        ].toSorted()
      )
      const runs = Array.from(yield* named).flatMap(([name, { exit }]) =>
        Option.isSome(exit) && exit.value._tag === "Success" ? [[name, exit.value.value] as const] : []
      )
      assert.strictEqual(new Map(runs).get("running"), 3)
      assert.strictEqual(new Map(runs).get("child of running parent"), 2)
      for (const { id } of (yield* named).values()) {
        const failures = yield* Stream.runCollect(jobs.outcomes(id, ["Failed"]))
        const isLeft = [ids.get("child of running parent"), ids.get("asked"), ids.get("cancelled")].includes(id)
        assert.deepStrictEqual(Array.from(failures, ({ cursor }) => +cursor), isLeft ? failed : [])
      }

      assert.deepStrictEqual((yield* jobs.schedules).map(({ name }) => name), ["nightly"])
      yield* pass(30)
      assert.strictEqual((yield* states)["scheduled"], "Completed")
      assert.deepStrictEqual(yield* jobs.unreadable(), [])
    }))
})
