import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import sharp from "sharp"
import { load, render } from "../src/internal/thumbnail/imageRendering.ts"
import { corpus, quarters } from "./pictures.ts"

/** How light a colour looks, as the grey that is as light. */
const lightOf = (red: number, green: number, blue: number): number =>
  Math.round((0.2126 * red ** 2.2 + 0.7152 * green ** 2.2 + 0.0722 * blue ** 2.2) ** (1 / 2.2))

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

  it.effect("shows what is in a picture, of each kind and form", () =>
    Effect.gen(function*() {
      const decoder = yield* load
      const wrong: Array<string> = []
      for (
        const [name, bytes, { isGrey = false, isHigh = false, order = [0, 1, 2, 3], tolerance = 12 }] of yield* Effect
          .promise(corpus)
      ) {
        const { pictures: [picture] } = yield* render(decoder, bytes, ["grid@1x"], "webp")
        const { data, info } = yield* Effect.promise(() =>
          sharp(picture?.bytes).removeAlpha().raw().toBuffer({ resolveWithObject: true })
        )
        const size = isHigh ? [192, 256] : [256, 192]
        if (info.width !== size[0] || info.height !== size[1]) wrong.push(`${name}: ${info.width} x ${info.height}`)
        order.forEach((quarter, at) => {
          const [x, y] = [(0.25 + at % 2 / 2) * info.width, (0.25 + (at >> 1) / 2) * info.height].map(Math.floor)
          const place = ((y ?? 0) * info.width + (x ?? 0)) * info.channels
          const colour = [...data.subarray(place, place + 3)]
          const [red = 0, green = 0, blue = 0] = quarters[quarter] ?? []
          const expected = isGrey ? Array<number>(3).fill(lightOf(red, green, blue)) : [red, green, blue]
          const off = Math.max(...expected.map((value, channel) => Math.abs(value - (colour[channel] ?? 0))))
          if (off > tolerance) wrong.push(`${name}: ${colour.join()} for ${expected.join()}`)
        })
      }
      assert.deepStrictEqual(wrong, [])
    }))
})
