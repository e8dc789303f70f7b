import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import sharp from "sharp"
import { load, render } from "../src/internal/thumbnail/imageRendering.ts"
import { corpus } from "./pictures.ts"
import { testFolder } from "./TestFolder.ts"

const isInstalled = spawnSync("vips", ["--version"]).error === undefined

const pixelsOf = (picture: Uint8Array | string) =>
  Effect.promise(() =>
    sharp(picture).flatten({ background: "white" }).toColourspace("srgb").raw().toBuffer({ resolveWithObject: true })
  )

describe.skipIf(!isInstalled)("thumbnails beside those of vips (needs vips)", () => {
  it.live("have the same size and show the same", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const decoder = yield* load
      const wrong: Array<string> = []
      let compared = 0
      for (const [name, bytes] of yield* Effect.promise(corpus)) {
        const [file, made] = [path.join(folder, name), path.join(folder, `${name}.made.png`)]
        fs.writeFileSync(file, bytes)
        const { status } = spawnSync("vips", ["thumbnail", file, made, "256", "--height", "256", "--size", "down"])
        // It may have been built without a format; of a pyramid it takes a layer that is smaller than it was asked for.
        if (status !== 0 || name === "pyramid.tif") continue
        compared++
        const { pictures: [picture] } = yield* render(decoder, bytes, ["grid@1x"], "webp")
        const [ours, others] = [yield* pixelsOf(picture?.bytes ?? new Uint8Array(0)), yield* pixelsOf(made)]
        const sizes = [ours, others].map(({ info }) => `${info.width} x ${info.height} x ${info.channels}`)
        if (sizes[0] !== sizes[1]) {
          wrong.push(`${name}: ${sizes.join(", not ")}`)
          continue
        }
        const sum = ours.data.reduce((sum, value, at) => sum + Math.abs(value - (others.data[at] ?? 0)), 0)
        // Each has its own way from the colours of printers to those of screens.
        const most = name === "cmyk.jpg" ? 40 : 4
        if (sum / ours.data.length > most) wrong.push(`${name}: differs by ${sum / ours.data.length}`)
      }
      assert.deepStrictEqual(wrong, [])
      assert.isAbove(compared, 25)
    }))
})
