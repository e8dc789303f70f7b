import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import sharp from "sharp"
import { render } from "../src/internal/imageRendering.ts"

describe("imageRendering", () => {
  it.effect("is not through with an image before its decoder is", () =>
    Effect.gen(function*() {
      let end: (error: Error) => void = () => {}
      const metadata = () =>
        new Promise((_, reject) => {
          end = reject
        })
      const image = Object.assign(sharp(), { metadata })
      const rendering = yield* Effect.forkChild(render(() => image, new Uint8Array(1), ["grid@1x"], "webp"))
      yield* Effect.yieldNow
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(rendering))
      for (let turns = 0; turns < 10; turns++) yield* Effect.yieldNow
      assert.isUndefined(rendering.pollUnsafe())
      end(new Error("it was cut short"))
      yield* Fiber.join(interrupting)
      assert.isDefined(rendering.pollUnsafe())
    }))
})
