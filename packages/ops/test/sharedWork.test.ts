import { assert, describe, it } from "@effect/vitest"
import * as Task from "@fanout/core/Task"
import * as Files from "@fanout/ops/Files"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import type { Others } from "../src/internal/files/quickFiles.ts"
import { share } from "../src/internal/work/sharedWork.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const Work = Task.make("test/Work", {
  payload: { n: Schema.Number },
  success: Schema.String,
  key: ({ n }) => String(n),
  pool: "io"
})
class Tasks extends RpcGroup.make(Work) {}

/** As many files keep one of the others half busy. */
const usual = 512

/** Shares work where calls are quick. Others are asked after so many usual pieces. */
const sharing = <E>(others: Others<typeof Work, E>, startsAfter: number) => {
  const files = MemoryFiles.make(new MemoryFiles.Disk())
  const quick = Option.some(files)
  return share(Work, { alone: others, beside: others }, { quick, startsAfter: startsAfter * usual / 64 }).pipe(
    Effect.provideService(Files.Files, files)
  )
}

/** Pieces of work that end when they are told to, and others who may be there. */
class World {
  readonly begun: Array<string> = []
  private readonly ends = new Map<number, Deferred.Deferred<void>>()
  started = 0

  private readonly work = (where: string, n: number) =>
    Effect.gen({ self: this }, function*() {
      this.begun.push(`${n} ${where}`)
      const end = yield* Deferred.make<void>()
      this.ends.set(n, end)
      yield* Deferred.await(end)
      return where
    })

  readonly others = <E>(start: Effect.Effect<void, E>) => ({
    count: 1,
    layer: Layer.unwrap(Effect.suspend(() => {
      this.started++
      return Effect.as(start, Tasks.toLayer({ "test/Work": ({ n }) => this.work("there", n) }))
    }))
  })

  readonly piece = (n: number, mayBeSlow = false) => ({
    key: { n },
    payload: { n },
    files: usual,
    mayBeSlow,
    work: (isQuick: boolean) => this.work(isQuick ? "here" : "slowly", n)
  })

  readonly end = (n: number) =>
    Effect.gen({ self: this }, function*() {
      const end = this.ends.get(n)
      if (end !== undefined) yield* Deferred.succeed(end, undefined)
      // What is free here is given on in the next turn.
      yield* Effect.promise(() => new Promise<void>((resume) => setImmediate(resume)))
      yield* Effect.yieldNow
    })

  /** Whoever was woken runs. */
  readonly settle = this.end(-1)
}

const noMore = Effect.fail("there are none" as const)

describe("share", () => {
  it.effect("does one piece after the other here, until others are there", () =>
    Effect.gen(function*() {
      const world = new World()
      const ready = yield* Deferred.make<void>()
      const shared = yield* sharing(world.others(Deferred.await(ready)), 2)
      const fibers = yield* Effect.forEach([1, 2], (n) => Effect.forkChild(shared(world.piece(n))))
      yield* world.settle
      assert.deepStrictEqual([world.begun, world.started], [["1 here"], 0])
      fibers.push(...yield* Effect.forEach([3, 4, 5, 6], (n) => Effect.forkChild(shared(world.piece(n)))))
      yield* world.end(1)
      yield* world.settle
      assert.deepStrictEqual([world.begun, world.started], [["1 here", "2 here"], 1])
      yield* Deferred.succeed(ready, undefined)
      yield* world.settle
      // Two for each of them.
      assert.deepStrictEqual(world.begun.slice(2), ["3 there", "4 there"])
      yield* world.end(4)
      yield* world.end(2)
      assert.deepStrictEqual(world.begun.slice(4), ["5 there", "6 here"])
      yield* Effect.forEach([3, 5, 6], world.end)
      assert.deepStrictEqual(
        yield* Effect.forEach(fibers, Fiber.join),
        ["here", "here", "there", "there", "there", "here"]
      )
    }).pipe(Effect.scoped))

  it.effect("gives others the more pieces, the less there is to do in each", () =>
    Effect.gen(function*() {
      const world = new World()
      const shared = yield* sharing(world.others(Effect.void), 0)
      const small = (n: number) => shared({ ...world.piece(n), files: 256 })
      const fibers = yield* Effect.forEach([1, 2, 3, 4, 5, 6, 7], (n) => Effect.forkChild(small(n)))
      yield* world.settle
      yield* world.settle
      assert.deepStrictEqual(world.begun, ["1 here", "2 there", "3 there", "4 there", "5 there"])
      // The last of those that it may have is more than that.
      yield* Effect.forEach([2, 3], world.end)
      const large = yield* Effect.forkChild(shared(world.piece(8)))
      yield* world.settle
      assert.deepStrictEqual(world.begun.slice(5), ["6 there", "7 there"])
      yield* world.end(4)
      assert.deepStrictEqual(world.begun.slice(7), ["8 there"])
      yield* Effect.forEach([1, 5, 6, 7, 8], world.end)
      yield* Effect.forEach([...fibers, large], Fiber.join)
    }).pipe(Effect.scoped))

  it.effect("has a piece here once each of the others has two, however little there seems to be to do in these", () =>
    Effect.gen(function*() {
      const world = new World()
      const shared = yield* sharing(world.others(Effect.void), 0)
      const begin = (n: number) => Effect.forkChild(shared({ ...world.piece(n), files: 64 }))
      const fibers = yield* Effect.forEach([1, 2], begin)
      yield* world.settle
      yield* world.end(1)
      fibers.push(...yield* Effect.forEach([3, 4, 5], begin))
      yield* world.settle
      assert.deepStrictEqual(world.begun, ["1 here", "2 there", "3 there", "4 here", "5 there"])
      yield* Effect.forEach([2, 3, 4, 5], world.end)
      yield* Effect.forEach(fibers, Fiber.join)
    }).pipe(Effect.scoped))

  it.effect("asks others the sooner, the more its pieces weigh", () =>
    Effect.gen(function*() {
      const world = new World()
      const shared = yield* sharing(world.others(Effect.never), 100)
      const fibers = yield* Effect.forEach([1, 2], (n) =>
        Effect.forkChild(shared({ ...world.piece(n), files: 50 * usual })))
      yield* world.settle
      assert.strictEqual(world.started, 0)
      fibers.push(yield* Effect.forkChild(shared(world.piece(3))))
      yield* world.settle
      yield* world.settle
      assert.strictEqual(world.started, 1)
      yield* Effect.forEach([1, 2, 3], world.end)
      yield* Effect.forEach(fibers, Fiber.join)
    }).pipe(Effect.scoped))

  it.effect("asks nobody for what has its turn at once, and soon for what is much and has to wait", () =>
    Effect.gen(function*() {
      const world = new World()
      const shared = yield* sharing(world.others(Effect.void), 10)
      const large = (n: number) => shared({ ...world.piece(n), files: 11 * usual })
      const first = yield* Effect.forkChild(large(1))
      yield* world.settle
      yield* world.end(1)
      yield* Fiber.join(first)
      // This thread is only free again in the next turn of the event loop.
      const second = yield* Effect.forkChild(Effect.andThen(large(2), large(3)))
      yield* world.settle
      yield* world.end(2)
      yield* world.settle
      assert.deepStrictEqual([world.begun, world.started], [["1 here", "2 here", "3 here"], 0])
      const third = yield* Effect.forkChild(large(4))
      yield* world.settle
      yield* world.settle
      assert.deepStrictEqual([world.begun.slice(3), world.started], [["4 there"], 1])
      yield* Effect.forEach([3, 4], world.end)
      yield* Effect.forEach([second, third], Fiber.join)
    }).pipe(Effect.scoped))

  it.effect("has others do what may take long, even the first of it", () =>
    Effect.gen(function*() {
      const world = new World()
      const shared = yield* sharing(world.others(Effect.void), 100)
      const slow = yield* Effect.forkChild(shared(world.piece(1, true)))
      const quick = yield* Effect.forkChild(shared(world.piece(2)))
      yield* world.settle
      assert.sameMembers(world.begun, ["1 there", "2 here"])
      yield* Effect.forEach([1, 2], world.end)
      yield* Effect.forEach([slow, quick], Fiber.join)
    }).pipe(Effect.scoped))

  it.effect("does without others where there are none, and says so", () =>
    Effect.gen(function*() {
      const world = new World()
      const logged: Array<unknown> = []
      const logger = Logger.make(({ message }) => void logged.push(message))
      const shared = yield* sharing(world.others(noMore), 0).pipe(Effect.provide(Logger.layer([logger])))
      const fibers = yield* Effect.forEach([false, true], (mayBeSlow, n) =>
        Effect.forkChild(shared(world.piece(n, mayBeSlow))))
      yield* world.settle
      assert.sameMembers(world.begun, ["0 here", "1 slowly"])
      assert.deepStrictEqual(logged, [["No threads take part, so it takes longer", "there are none"]])
      yield* Effect.forEach([0, 1], world.end)
      yield* Effect.forEach(fibers, Fiber.join)
    }).pipe(Effect.scoped))

  it.effect("gets no deeper with work that ends at once", () =>
    Effect.gen(function*() {
      const shared = yield* sharing({ count: 1, layer: Layer.unwrap(noMore) }, 0)
      const done = yield* Effect.forEach(
        Array.from({ length: 5000 }, (_, n) => n),
        (n) => shared({ key: {}, payload: { n }, files: usual, mayBeSlow: true, work: () => Effect.succeed("slowly") }),
        { concurrency: "unbounded" }
      )
      assert.lengthOf(done, 5000)
    }).pipe(Effect.scoped))

  it.effect("dies where others can't be started for no reason that is known", () =>
    Effect.gen(function*() {
      const world = new World()
      const shared = yield* sharing(world.others(Effect.die("broken")), 0)
      assert.deepStrictEqual(yield* Effect.exit(shared(world.piece(1, true))), Exit.die("broken"))
    }).pipe(Effect.scoped))

  it.effect("does not do here what others may have died of", () =>
    Effect.gen(function*() {
      const world = new World()
      const begun: Array<number> = []
      const others = {
        count: 1,
        layer: Tasks.toLayer({
          "test/Work": ({ n }) => {
            begun.push(n)
            return n === 1 ? Effect.die("killed") : Effect.never
          }
        })
      }
      const shared = yield* sharing(others, 0)
      const key = {}
      const piece = { key, payload: { n: 1 }, files: usual, work: () => Effect.succeed("here") }
      yield* Effect.exit(shared({ ...piece, mayBeSlow: true }))
      assert.deepStrictEqual(begun, [1])
      assert.deepStrictEqual(yield* Effect.exit(shared(piece)), Exit.die("killed"))
      assert.deepStrictEqual(begun, [1, 1])
      // Also where all others are at something, and this thread has nothing to do.
      const busy = { ...piece, key: {}, payload: { n: 2 }, mayBeSlow: true }
      for (let n = 0; n < 2; n++) yield* Effect.forkScoped(shared(busy))
      const waiting = yield* Effect.forkScoped(shared(piece))
      yield* world.settle
      assert.deepStrictEqual([begun, waiting.pollUnsafe()], [[1, 1, 2, 2], undefined])
    }).pipe(Effect.scoped))

  it.effect("gives back the turn of who is interrupted while it waits", () =>
    Effect.gen(function*() {
      const world = new World()
      const shared = yield* sharing(world.others(Effect.never), 100)
      const first = yield* Effect.forkChild(shared(world.piece(1)))
      const second = yield* Effect.forkChild(shared(world.piece(2)))
      const third = yield* Effect.forkChild(shared(world.piece(3)))
      yield* world.settle
      yield* Fiber.interrupt(second)
      yield* world.end(1)
      assert.deepStrictEqual(world.begun, ["1 here", "3 here"])
      yield* Fiber.interrupt(third)
      yield* Fiber.join(first)
    }).pipe(Effect.scoped))
})
