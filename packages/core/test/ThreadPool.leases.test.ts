import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as Lease from "@fanout/core/Lease"
import * as Pools from "@fanout/core/Pools"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Headers from "effect/http/Headers"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import { RequestId } from "effect/rpc/RpcMessage"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as ThreadPool from "../src/internal/threads/poolLayer.ts"
import { ScriptedThreads, Threads, turns } from "./threadHarness.ts"

const Check = Task.make("test/Check", {
  payload: { n: Schema.NumberFromString.check(Schema.isLessThan(1000)) },
  success: Schema.Finite,
  key: ({ n }) => `${n}`,
  cost: () => 1,
  pool: "cpu"
})
class Checks extends RpcGroup.make(Check) {}

/** Handlers that note the number of each attempt. */
const handlersThatNote = (attempts: Array<number>) =>
  Checks.toLayer({
    "test/Check": ({ n }) =>
      Effect.gen(function*() {
        attempts.push(yield* Task.CurrentAttempt)
        yield* Lease.check
        return n
      })
  })
const call = { client: new Rpc.ServerClient(0), requestId: RequestId(0), headers: Headers.empty }

const leaseOf = (token: number, more: Partial<Lease.Lease> = {}): Lease.Lease => ({
  job: Option.some(JobId.make("job")),
  token,
  isHeldUnsafe: () => true,
  heldUntilUnsafe: Option.none,
  ...more
})

const always = leaseOf(0)

const withDispatcher = Effect.provide(TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer())))

/** Runs a task under a lease, on threads that are fibers. */
const check = (lease: Lease.Lease, attempts: Array<number> = []) =>
  Effect.gen(function*() {
    const { run } = yield* TaskDispatcher.TaskDispatcher
    const fiber = yield* Effect.forkChild(Effect.exit(run(Check, { n: 1 })), { startImmediately: true })
    yield* turns
    return yield* Fiber.join(fiber)
  }).pipe(
    Effect.provideService(Lease.Lease, lease),
    Effect.provide(
      ThreadPool.layer(Checks, { size: 1 }).pipe(Layer.provide(new Threads(Checks, handlersThatNote(attempts)).layer))
    )
  )

/** A pool over scripted threads, the first of which is ready; and how it is given tasks. */
const scripted = (options: ThreadPool.Options) =>
  Effect.gen(function*() {
    const threads = new ScriptedThreads()
    const scope = yield* Scope.make()
    const layer = ThreadPool.layer(Checks, options).pipe(Layer.provide(threads.layer))
    const building = yield* Effect.forkChild(Layer.buildWithScope(layer, scope))
    yield* turns
    threads.at(0).ready("test/Check")
    const handle = yield* Effect.provideContext(Checks.accessHandler("test/Check"), yield* Fiber.join(building))
    const give = (...tasks: ReadonlyArray<readonly [n: number, lease?: Lease.Lease | undefined]>) =>
      Effect.forEach(tasks, ([n, lease = always]) =>
        Effect.forkDetach(Effect.provideService(handle({ n }, call), Lease.Lease, lease), { startImmediately: true }))
        .pipe(
          Effect.tap(turns)
        )
    return { threads, thread: threads.at(0), give }
  })

describe("the lease of a job on threads", () => {
  it.effect("is held for ever where nothing says until when", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* check(leaseOf(7)), yield* Effect.exit(Effect.succeed(1)))
    }).pipe(withDispatcher))

  it.effect("runs a task again that a thread has stopped in vain, as it was told too late of a renewal", () =>
    Effect.gen(function*() {
      let told = 0
      const attempts: Array<number> = []
      const renewed = leaseOf(7, {
        heldUntilUnsafe: () => told++ === 0 ? Option.some({ monotonicNanos: 0n, wallMillis: 0 }) : Option.none()
      })
      assert.deepStrictEqual(yield* check(renewed, attempts), yield* Effect.exit(Effect.succeed(1)))
      assert.isAtLeast(told, 2)
      assert.deepStrictEqual(attempts, [1, 2])
    }).pipe(withDispatcher))

  it.effect("stops a task whose owner finds it lost too", () =>
    Effect.gen(function*() {
      const lost = leaseOf(7, {
        isHeldUnsafe: () => false,
        heldUntilUnsafe: () => Option.some({ monotonicNanos: 0n, wallMillis: 0 })
      })
      assert.include(String(yield* check(lost)), "LeaseLost")
    }).pipe(withDispatcher))

  it.effect("is one for all tasks of a batch, and those of other jobs don't cut it short", () =>
    Effect.gen(function*() {
      const { give, thread } = yield* scripted({ size: 1 })
      for (let size = 1; size < 8; size *= 2) {
        const fibers = yield* give(...Array.from({ length: size }, (_, n) => [n] as const))
        thread.end(fibers.map((_, n) => [n, { done: n }]))
        yield* turns
      }
      const jobs = [leaseOf(1), leaseOf(2)]
      const before = thread.batches.length
      yield* give(...Array.from({ length: 8 }, (_, n) => [n, jobs[n % 2]] as const))
      assert.deepStrictEqual(thread.batches.slice(before), [4])
      assert.deepStrictEqual(thread.batch.lease, [JobId.make("job"), 1])
      thread.end([0, 1, 2, 3].map((n) => [n, { done: n }]))
      yield* turns
      assert.deepStrictEqual(thread.batches.slice(before), [4, 4])
      assert.deepStrictEqual(thread.batch.lease, [JobId.make("job"), 2])
    }).pipe(withDispatcher))
})

describe("a pool", () => {
  it.effect("leaves the memory of a batch that runs alone, when the next one can't be posted", () =>
    Effect.gen(function*() {
      const { give, thread } = yield* scripted({ size: 1 })
      thread.end((yield* give([0])).map((_, n) => [n, { done: n }]))
      yield* turns
      const first = yield* give([1], [2])
      assert.strictEqual(thread.batch.items.length, 2)
      thread.begin(0)
      // Neither can be encoded.
      yield* give([2000], [2001])
      const next = yield* give([3], [4])
      assert.isTrue(thread.control.isRunning(0))
      assert.isTrue(thread.control.isPending(1))
      thread.end([[0, { done: 1 }], [1, { done: 2 }]])
      yield* turns
      thread.end([[0, { done: 3 }], [1, { done: 4 }]])
      yield* turns
      assert.deepStrictEqual([...first, ...next].map((fiber) => fiber.pollUnsafe()?._tag), [
        "Success",
        "Success",
        "Success",
        "Success"
      ])
    }).pipe(withDispatcher))

  it.effect("does not give up while a thread starts, however many others have failed to", () =>
    Effect.gen(function*() {
      const { give, thread, threads } = yield* scripted({ size: 2, idle: "1 second" })
      yield* TestClock.adjust(1100)
      thread.die("it was idle")
      yield* TestClock.adjust(1000)
      const fibers = yield* give([1], [2], [3])
      assert.strictEqual(threads.started.length, 3)
      for (let round = 0; round < 4; round++) {
        threads.started.at(-1)?.die("no memory")
        yield* TestClock.adjust(5000)
        yield* turns
      }
      assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() === undefined))
    }).pipe(withDispatcher))
})
