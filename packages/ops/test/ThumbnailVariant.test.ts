import { assert, describe, it } from "@effect/vitest"
import * as ThumbnailVariant from "@fanout/ops/ThumbnailVariant"
import * as Option from "effect/Option"

describe("ThumbnailVariant", () => {
  it.each(
    [
      ["grid", ["grid@1x", "grid@2x"]],
      ["detail@2x, icon@1x", ["icon@1x", "detail@2x"]],
      ["grid@1x,grid", ["grid@1x", "grid@2x"]],
      ["icon,grid,detail", ThumbnailVariant.ThumbnailVariant.literals]
    ] as const
  )("reads %s", (text, variants) => {
    assert.deepStrictEqual(ThumbnailVariant.parse(text), Option.some(variants))
  })

  it.each(["", "huge", "grid,", "grid@3x", "grid@", "1024"])("takes \"%s\" for no sizes", (text) => {
    assert.isTrue(Option.isNone(ThumbnailVariant.parse(text)))
  })

  it("has the sizes and qualities of Spacedrive", () => {
    const sizes = ThumbnailVariant.ThumbnailVariant.literals.map((variant) => {
      const { quality, sidePixels } = ThumbnailVariant.sizeOf(variant)
      return `${variant} ${sidePixels}/${quality}`
    })
    assert.deepStrictEqual(sizes, [
      "icon@1x 128/80",
      "icon@2x 256/80",
      "grid@1x 256/85",
      "grid@2x 512/85",
      "detail@1x 1024/90",
      "detail@2x 2048/90"
    ])
  })
})
