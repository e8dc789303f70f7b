import { assert, it } from "@effect/vitest"
import * as Job from "@fanout/core/Job"
import { JobManager } from "@fanout/core/JobManager"
import * as Task from "@fanout/core/Task"
import { TaskDispatcher } from "@fanout/core/TaskDispatcher"
import * as Testing from "@fanout/core/testing"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as Option from "effect/Option"
import * as References from "effect/References"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Tracer from "effect/Tracer"

const Check = Task.make("test/Check", { payload: { n: Schema.Number }, error: Schema.String })
const Checks = Job.make("test/Checks", {})

const program = Checks.toLayer(() =>
  TaskDispatcher.use(({ fanOut }) =>
    fanOut(
      "numbers",
      Check,
      () => Stream.range(1, 10).pipe(Stream.map((n) => ({ _tag: "Item", cursor: `${n}`, payload: { n } }) as const))
    )
  ).pipe(Effect.asVoid, Effect.orDie)
).pipe(
  Layer.provide(
    RpcGroup.make(Check).toLayer({
      "test/Check": ({ n }) =>
        n === 3
          ? Effect.fail("three")
          : n === 4
          ? Task.skip("four")
          : Effect.withSpan(Effect.void, "check")
    })
  )
)

it.effect("tells of jobs and fan-outs as spans and metrics, and a handler's spans are theirs", () =>
  Effect.gen(function*() {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    const manager = Testing.layer({ jobs: [Checks] }).pipe(Layer.provide(program))
    const values = yield* Effect.gen(function*() {
      const { await: end } = yield* JobManager.use(({ start }) => start(Checks, undefined))
      yield* end
      yield* Testing.settle
      const elements = (outcome: string) =>
        Metric.value(
          Metric.withAttributes(Metric.counter("fanout_elements"), { job: "test/Checks", fanOut: "numbers", outcome })
        )
      const running = yield* Metric.value(Metric.withAttributes(Metric.gauge("fanout_jobs_running"), {
        job: "test/Checks"
      }))
      const counts = yield* Effect.forEach(["done", "failed", "skipped"], elements)
      return { running: running.value, counts: counts.map(({ count }) => count) }
    }).pipe(
      Effect.provide(manager),
      Effect.provideService(Metric.MetricRegistry, new Map()),
      Effect.provideService(Tracer.Tracer, tracer)
    )
    assert.deepStrictEqual(values, { running: 0, counts: [8, 1, 1] })
    assert.deepStrictEqual(Array.from(new Set(spans.map(({ name }) => name))), [
      "fanout.claim test/Checks",
      "fanout.job test/Checks",
      "fanout.fanOut numbers",
      "check",
      "fanout.flush numbers"
    ])
    const named = (name: string) => spans.filter((span) => span.name === name)
    const [job, fanOut, checks] = [
      named("fanout.job test/Checks")[0],
      named("fanout.fanOut numbers")[0],
      named("check")
    ]
    assert.strictEqual(checks.length, 8)
    const parentOf = (span: Tracer.Span | undefined) => Option.getOrUndefined(span?.parent ?? Option.none())
    assert.strictEqual(parentOf(fanOut), job)
    assert.isTrue(checks.every((span) => parentOf(span) === fanOut))
  }))

it.effect("tells of tasks by a span each where that is asked for, and of job and task in their lines of the log", () =>
  Effect.gen(function*() {
    const spans: Array<string> = []
    const lines: Array<unknown> = []
    const tracer = Tracer.make({
      span: (options) => {
        spans.push(options.name)
        return new Tracer.NativeSpan(options)
      }
    })
    const logger = Logger.make(({ fiber, message }) => {
      lines.push([message, Context.get(fiber.context, References.CurrentLogAnnotations)])
    })
    const Say = Task.make("test/Say", { payload: { n: Schema.Number } })
    class Says extends RpcGroup.make(Say) {}
    const Saying = Job.make("test/Saying", {})
    const saying = Saying.toLayer(() =>
      TaskDispatcher.use(({ run }) => Effect.forEach([1, 2, 3, 4], (n) => run(Say, { n }))).pipe(
        Effect.asVoid,
        Effect.orDie,
        Effect.provideService(Task.SpanRatio, 0.5)
      )
    ).pipe(Layer.provide(Says.toLayer({ "test/Say": ({ n }) => Effect.log(n) })))
    const id = yield* Effect.gen(function*() {
      const { await: end, id } = yield* JobManager.use(({ start }) => start(Saying, undefined))
      yield* end
      return id
    }).pipe(
      Effect.provide(Testing.layer({ jobs: [Saying] }).pipe(Layer.provide(saying))),
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(Tracer.Tracer, tracer)
    )
    assert.deepStrictEqual(spans.filter((name) => name.startsWith("fanout.task")), [
      "fanout.task test/Say",
      "fanout.task test/Say"
    ])
    assert.deepStrictEqual(lines, [1, 2, 3, 4].map((n) => [[n], { job: id, task: "test/Say" }]))
  }))
