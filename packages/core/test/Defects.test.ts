import { assert, describe, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import { JobManager, JobNotCompleted } from "@fanout/core/JobManager"
import { Exit } from "@fanout/core/JobRecord"
import * as Outcome from "@fanout/core/Outcome"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Testing from "@fanout/core/testing"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { Threads } from "./threadHarness.ts"

const Read = Task.make("test/Read", { payload: { n: Schema.Number }, key: ({ n }) => `file ${n}` })
class Reads extends RpcGroup.make(Read) {}
const ReadAll = Job.make("test/ReadAll", {
  payload: Schema.Struct({ count: Schema.Number, thenDies: Schema.Boolean })
})

/** Throws as a mistake in a program does. */
const readsNothing = (path: { readonly to?: { readonly file: string } }) => {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a mistake that types do not see
  return (path as { readonly to: { readonly file: string } }).to.file.length
}

const handlers = Reads.toLayer({
  "test/Read": ({ n }) =>
    Effect.sync(() => {
      if (n === 0) throw `no error ${n}`
      if (n === 1) throw new RangeError("wrong".repeat(2000), { cause: new Error("the root of it") })
      readsNothing({})
    })
})

const program = ReadAll.toLayer(({ count, thenDies }) =>
  TaskDispatcher.use(({ fanOut }) =>
    fanOut("files", Read, () =>
      Stream.range(0, count - 1).pipe(
        Stream.map((n) => ({ _tag: "Item", cursor: `${n}`, payload: { n } }) as const)
      ), { concurrency: 1 })
  ).pipe(Effect.orDie, Effect.andThen(Effect.sync(() => void (thenDies && readsNothing({})))))
)

const threads = () =>
  ThreadPool.layer(Reads, { size: 1 }).pipe(Layer.provide(new Threads(Reads, handlers).layer), Layer.orDie)

/** Runs a job, and gives what can be seen of it afterwards. */
const run = (count: number, tasks: Layer.Layer<Task.Handler<typeof Read>>, thenDies = false) =>
  Effect.gen(function*() {
    const logged: Array<{ readonly level: string; readonly message: string; readonly cause: string }> = []
    const logger = Logger.make<unknown, void>(({ cause, logLevel, message }) => {
      logged.push({ level: logLevel, message: String(message), cause: Cause.pretty(cause) })
    })
    const seen = yield* Effect.gen(function*() {
      const jobs = yield* JobManager
      const { await: end, id } = yield* jobs.start(ReadAll, { count, thenDies })
      const result = yield* Effect.exit(end)
      const rows = Array.from(yield* Stream.runCollect(jobs.outcomes(id)), ({ outcome }) => outcome)
      const failures = rows.flatMap((outcome) => outcome._tag === "Failed" ? [outcome.failure] : [])
      const log = Array.from(yield* Stream.runCollect(jobs.logs(id)), ({ message }) => message)
      return { result, failures, log, exit: Option.getOrUndefined((yield* jobs.get(id)).exit) }
    }).pipe(
      Effect.provide(Testing.layer({ jobs: [ReadAll] }).pipe(Layer.provide(Layer.provideMerge(program, tasks)))),
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "Debug")
    )
    return { ...seen, logged }
  })

describe("a defect", () => {
  it.effect.each([["fibers", () => handlers], ["threads", threads]] as const)(
    "of a task on %s has its name, its text and where it was thrown in row and log",
    ([, tasks]) =>
      Effect.gen(function*() {
        const { failures, logged } = yield* run(3, tasks())
        const [string, caused, mistake] = failures
        assert.deepStrictEqual(string, { _tag: "Defect", message: "no error 0" })
        assert.deepInclude(caused, { _tag: "Defect", name: "RangeError", message: "wrong".repeat(2000).slice(0, 4096) })
        assert.match(caused?._tag === "Defect" ? caused.stack ?? "" : "", /^ +at [^]*\[cause\]: Error: the root of it/)
        assert.deepInclude(mistake, {
          name: "TypeError",
          message: "Cannot read properties of undefined (reading 'file')"
        })
        assert.match(mistake?._tag === "Defect" ? mistake.stack ?? "" : "", /^ +at readsNothing .*Defects\.test/)
        assert.strictEqual(
          mistake && Outcome.message(mistake),
          "the task died: TypeError: Cannot read properties of undefined (reading 'file')"
        )
        const warnings = logged.filter(({ level }) => level === "Warn")
        assert.strictEqual(warnings.length, 3)
        assert.match(
          warnings[2]?.message ?? "",
          /^Task "test\/Read" of "file 2" in fan-out "files" of job .* has died$/
        )
        assert.match(warnings[2]?.cause ?? "", /^TypeError: Cannot read .*\n\s+at readsNothing .*Defects\.test/)
      })
  )

  it.effect("has a stack in 100 rows of a run, and the warnings are as many", () =>
    Effect.gen(function*() {
      const { failures, logged } = yield* run(250, handlers)
      assert.strictEqual(failures.length, 250)
      const named = failures.flatMap((failure) =>
        failure._tag === "Defect" && failure.name !== undefined ? [failure] : []
      )
      assert.strictEqual(named.length, 249)
      // The first was no error, and had none.
      assert.strictEqual(named.filter(({ stack }) => stack !== undefined).length, 99)
      assert.isTrue(failures.every((failure) => JSON.stringify(failure).length < 9000))
      const levels = (level: string) => logged.filter((line) => line.level === level && line.message.includes("died"))
      assert.deepStrictEqual([levels("Warn").length, levels("Debug").length], [100, 150])
    }))

  it.effect("of a program has its name, its text and where it was thrown in the record and the error", () =>
    Effect.gen(function*() {
      const { exit, log, logged, result } = yield* run(3, handlers, true)
      const text = "TypeError: Cannot read properties of undefined (reading 'file')"
      assert.strictEqual(log.at(-1), `Failed: it died: ${text}`)
      assert.deepInclude(exit, { _tag: "Defect", name: "TypeError", message: text.slice("TypeError: ".length) })
      assert.match(exit?._tag === "Defect" ? exit.stack ?? "" : "", /^ +at readsNothing .*Defects\.test/)
      const errors = logged.filter(({ level }) => level === "Error")
      assert.strictEqual(errors.length, 1)
      assert.match(errors[0]?.message ?? "", /^Job .* \(test\/ReadAll\) has died$/)
      assert.match(errors[0]?.cause ?? "", /^TypeError: .*\n\s+at readsNothing .*Defects\.test/)
      const error = result._tag === "Failure" ? Cause.squash(result.cause) : undefined
      assert.instanceOf(error, JobNotCompleted)
      assert.strictEqual(error.why, `it died: ${text}`)
      assert.match(Cause.pretty(Cause.fail(error)), /\[cause\]: TypeError: .*\n\s+at readsNothing .*Defects\.test/)
    }))

  it("that an older version has stored is read", () => {
    const stored = { _tag: "Defect", message: "boom" } as const
    const failure = Schema.decodeUnknownSync(Outcome.Failure)(stored)
    assert.deepStrictEqual(failure, stored)
    assert.strictEqual(Outcome.message(failure), "the task died: boom")
    assert.deepStrictEqual(Schema.decodeUnknownSync(Exit)(stored), stored)
  })
})
