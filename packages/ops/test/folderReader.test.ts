import { assert, describe, it } from "@effect/vitest"
import { type Call, type Calls, make as makeCall } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { later } from "../src/internal/files/callWays.ts"
import { listFolder } from "../src/internal/files/folderReader.ts"
import { calls as nodeCalls } from "../src/internal/files/nodeCalls.ts"

/** Calls that are answered when it is said. */
class World {
  readonly made: Array<string> = []
  private answer: () => void = () => {}

  private readonly ask = <A>(call: string, value: () => A): Call<A> =>
    makeCall<A>(() => assert.fail(), (done) => {
      this.made.push(call)
      this.answer = () => done(value())
    })

  private readonly calls: Calls = {
    ...nodeCalls,
    list: (_, add) =>
      this.ask("list", () => {
        add(`name ${this.made.length}`, "file", 0)
        return this.made.length < 4
      }),
    close: () => this.ask("close", () => undefined)
  }

  readonly list = listFolder(
    { calls: this.calls, way: later },
    FilePath.make("/folder"),
    () => this.ask("open", () => 7)
  )

  readonly step = Effect.suspend(() => {
    this.answer()
    return Effect.yieldNow
  })
}

describe("listFolder", () => {
  it.effect("gives all names, and closes the folder", () =>
    Effect.gen(function*() {
      const world = new World()
      const listing = yield* Effect.forkChild(world.list, { startImmediately: true })
      for (const _ of "12345") yield* world.step
      assert.deepStrictEqual(world.made, ["open", "list", "list", "list", "close"])
      const names = yield* Fiber.join(listing)
      assert.deepStrictEqual([0, 1, 2].map((index) => names.nameAt(index)), ["name 2", "name 3", "name 4"])
    }))

  it.effect("lists no more once it is interrupted, and has closed the folder when it ends", () =>
    Effect.gen(function*() {
      const world = new World()
      const listing = yield* Effect.forkChild(world.list, { startImmediately: true })
      yield* world.step
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(listing), { startImmediately: true })
      yield* world.step
      assert.deepStrictEqual([world.made, interrupting.pollUnsafe()], [["open", "list", "close"], undefined])
      yield* world.step
      yield* Fiber.join(interrupting)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(listing)))
    }))
})
