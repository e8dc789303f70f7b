import { assert, describe, it } from "@effect/vitest"
import * as Interrupter from "@fanout/core/Interrupter"
import * as Job from "@fanout/core/Job"
import type * as JobStore from "@fanout/core/JobStore"
import type { Element } from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { process } from "./managers.ts"
import { onStores } from "./stores.ts"

const pass = (millis: number) => Effect.andThen(TestClock.adjust(millis), settle)

/** A schema of text that can be told how to be encoded. */
const text = (encode: (text: string) => Effect.Effect<string>): Schema.Codec<string, string> =>
  Schema.String.pipe(Schema.decodeTo(
    Schema.String,
    SchemaTransformation.transformEffect({ decode: Effect.succeed, encode })
  ))

const Endless = Task.make("test/Endless", { pool: "cpu", timeout: "1 second" })
class Tasks extends RpcGroup.make(Endless) {}
const item: Element<void> = { _tag: "Item", cursor: "one", payload: undefined }
const { TaskDispatcher: Dispatcher } = TaskDispatcher
const waiting = {
  fanOut: Dispatcher.use((_) =>
    Effect.asVoid(Effect.orDie(_.fanOut("all", Endless, () => Stream.make(item), { failures: "failFast" })))
  ),
  run: Dispatcher.use((_) => Effect.orDie(_.run(Endless, undefined))),
  dispatch: Dispatcher.use((_) =>
    Effect.orDie(
      Effect.flatMap(Effect.flatMap(_.dispatch(Endless, undefined), ({ await: ended }) => ended), (status) =>
        status._tag === "Failed" ? Effect.failCause(status.cause) : Effect.void)
    )
  )
}

const hangs = <E>(backend: string, store: Layer.Layer<JobStore.JobStore, E>) =>
  describe(`nothing of a job hangs (${backend})`, () => {
    const test = <A, E2>(name: string, body: () => Effect.Effect<A, E2, JobStore.JobStore | Scope.Scope>) =>
      it.effect(name, () => body().pipe(Effect.provide(Layer.fresh(store))))

    const endless = {
      "a finalizer of its own": (program: Effect.Effect<void, Interrupter.Interrupted>) =>
        Effect.ensuring(program, Effect.never),
      "a finalizer of its scope": (program: Effect.Effect<void, Interrupter.Interrupted>) =>
        Effect.andThen(Effect.addFinalizer(() => Effect.never), program)
    }
    for (const [what, wrap] of Object.entries(endless)) {
      for (const action of ["pause", "cancel"] as const) {
        test(`${action} of a program with ${what} that never ends`, () =>
          Effect.gen(function*() {
            const Endless = Job.make("test/Endless", {})
            const program = wrap(Effect.forever(Effect.andThen(Effect.sleep(50), Interrupter.check)))
            const one = yield* process([Endless], Endless.toLayer(() => program))
            const { id } = yield* one.jobs.start(Endless, undefined)
            yield* pass(1000)
            yield* one.jobs[action](id)
            yield* pass(64_000)

            assert.strictEqual((yield* one.jobs.get(id)).state._tag, action === "pause" ? "Paused" : "Cancelled")
            const lines = yield* Stream.runCollect(one.jobs.logs(id))
            assert.isTrue(lines.some(({ level, message }) => level === "Error" && /left to itself/.test(message)))
          }))
      }
    }

    test("success of a program with a finalizer of its scope that never ends", () =>
      Effect.gen(function*() {
        const Endless = Job.make("test/Endless", { success: Schema.String })
        const one = yield* process(
          [Endless],
          Endless.toLayer(() => Effect.as(Effect.addFinalizer(() => Effect.never), "done"))
        )
        const { await: ended } = yield* one.jobs.start(Endless, undefined)
        yield* pass(64_000)

        assert.strictEqual(yield* ended, "done")
      }))

    test("the end of a process whose program has a finalizer that never ends", () =>
      Effect.gen(function*() {
        const Endless = Job.make("test/Endless", {})
        const program = Endless.toLayer(() => Effect.ensuring(Effect.never, Effect.never))
        const one = yield* process([Endless], program)
        yield* one.jobs.start(Endless, undefined)
        yield* pass(1000)
        const closing = yield* Effect.forkChild(one.close)
        yield* pass(64_000)

        assert.isDefined(closing.pollUnsafe())
      }))

    for (const [way, program] of Object.entries(waiting)) {
      test(`a job that waits by ${way} for a task with a finalizer that never ends`, () =>
        Effect.gen(function*() {
          const Waiting = Job.make("test/Waiting", {})
          const handlers = Tasks.toLayer({ "test/Endless": () => Effect.ensuring(Effect.never, Effect.never) })
          const one = yield* process([Waiting], Layer.provide(Waiting.toLayer(() => program), handlers), {}, { cpu: 1 })
          const { await: ended, id } = yield* one.jobs.start(Waiting, undefined)
          const failing = yield* Effect.forkChild(Effect.flip(ended))
          yield* pass(300_000)

          const { exit, state } = yield* one.jobs.get(id)
          assert.strictEqual(state._tag, "Failed")
          const why = /test\/Endless.* goes on for 60 s after it was interrupted/
          assert.match(JSON.stringify(Option.getOrThrow(exit)), why)
          assert.match(String(yield* Fiber.join(failing)), why)
          assert.isTrue((yield* one.pools.status).every(({ held, waiting }) => held + waiting === 0))
        }))
    }

    const odd: Record<string, readonly [encode: () => Effect.Effect<string>, why: RegExp]> = {
      "never ends": [() => Effect.never, /it takes longer than a minute/],
      dies: [() => Effect.die(new Error("odd")), /odd/],
      throws: [() => {
        throw new Error("odd")
      }, /odd/]
    }
    for (const [what, [encode, why]] of Object.entries(odd)) {
      const ended = Effect.fnUntraced(function*(
        job: Job.Job<"test/Odd", Schema.Void, Schema.Codec<string, string>, Schema.Codec<string, string>>,
        program: Effect.Effect<string, string>
      ) {
        const one = yield* process([job], job.toLayer(() => program))
        const { id } = yield* one.jobs.start(job, undefined)
        yield* pass(64_000)
        const { exit, state } = yield* one.jobs.get(id)
        assert.strictEqual(state._tag, "Failed")
        assert.match(JSON.stringify(Option.getOrThrow(exit)), why)
      })
      test(`the end of a program whose success has a schema that ${what}`, () =>
        ended(Job.make("test/Odd", { success: text(encode), error: text(Effect.succeed) }), Effect.succeed("text")))
      test(`the end of a program whose error has a schema that ${what}`, () =>
        ended(Job.make("test/Odd", { success: text(Effect.succeed), error: text(encode) }), Effect.fail("text")))
    }
  })

onStores(hangs)
