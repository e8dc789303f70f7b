/**
 * The tasks of the image pipeline and what they do: draw a picture, shrink one, lay many out on a sheet. All of it is
 * work for the CPU, and what a thread runs. Pictures are binary PGM files, which are a line of text and a byte a pixel.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"

const common = { success: Schema.Struct({ bytes: Schema.Int }), pool: "cpu", timeout: "1 minute" } as const

export const Draw = Task.make("images/Draw", {
  payload: { frame: Schema.Int, to: Schema.String },
  key: ({ frame }) => `frame ${frame}`,
  ...common
})

export const Shrink = Task.make("images/Shrink", {
  payload: { from: Schema.String, to: Schema.String },
  key: ({ to }) => to,
  ...common
})

export const LayOut = Task.make("images/LayOut", {
  payload: { from: Schema.Array(Schema.String), to: Schema.String },
  key: ({ to }) => to,
  ...common
})

export class Tasks extends RpcGroup.make(Draw, Shrink, LayOut) {}

// --- Pictures ------------------------------------------------------------------------------------------------------

interface Picture {
  readonly width: number
  readonly height: number
  readonly pixels: Uint8Array
}

const blank = (width: number, height: number): Picture => ({ width, height, pixels: new Uint8Array(width * height) })

const readPicture = (file: string): Picture => {
  const bytes = fs.readFileSync(file)
  const [header, width, height] = /^P5 (\d+) (\d+) 255\n/.exec(bytes.toString("latin1", 0, 30)) ?? []
  if (header === undefined) throw new Error(`${file} is no PGM picture`)
  return { width: Number(width), height: Number(height), pixels: bytes.subarray(header.length) }
}

/** Under another name first, so that there is no half picture, whenever this stops. */
const writePicture = (file: string, { height, pixels, width }: Picture): { readonly bytes: number } => {
  const bytes = Buffer.concat([Buffer.from(`P5 ${width} ${height} 255\n`), pixels])
  fs.writeFileSync(`${file}.new`, bytes)
  fs.renameSync(`${file}.new`, file)
  return { bytes: bytes.length }
}

/** How soon a point of the plane escapes: the Mandelbrot set is where none does. */
const escapes = (x: number, y: number): number => {
  let a = 0
  let b = 0
  for (let n = 0; n < 255; n++) {
    const next = a * a - b * b + x
    b = 2 * a * b + y
    a = next
    if (a * a + b * b > 4) return n
  }
  return 255
}

// --- Handlers ------------------------------------------------------------------------------------------------------

export const Handlers = Tasks.toLayer({
  "images/Draw": Effect.fnUntraced(function*({ frame, to }) {
    const picture = blank(320, 240)
    const zoom = 0.01 * 0.98 ** frame
    for (let y = 0; y < picture.height; y++) {
      // A line is done in no time: a fine place to stop at.
      yield* Interrupter.check
      for (let x = 0; x < picture.width; x++) {
        picture.pixels[y * picture.width + x] = escapes((x - 160) * zoom - 0.7436, (y - 120) * zoom + 0.1318)
      }
    }
    yield* Progress.add("pixels", picture.pixels.length)
    return writePicture(to, picture)
  }),
  "images/Shrink": ({ from, to }) =>
    Effect.sync(() => {
      const large = readPicture(from)
      const small = blank(large.width / 4, large.height / 4)
      for (let i = 0; i < small.pixels.length; i++) {
        let sum = 0
        const corner = Math.floor(i / small.width) * 4 * large.width + (i % small.width) * 4
        for (let j = 0; j < 16; j++) sum += large.pixels[corner + Math.floor(j / 4) * large.width + j % 4] ?? 0
        small.pixels[i] = sum / 16
      }
      return writePicture(to, small)
    }),
  "images/LayOut": ({ from, to }) =>
    Effect.sync(() => {
      const sheet = blank(8 * 80, Math.ceil(from.length / 8) * 60)
      for (const [i, file] of from.entries()) {
        const { height, pixels, width } = readPicture(file)
        for (let y = 0; y < height; y++) {
          const line = (Math.floor(i / 8) * height + y) * sheet.width + (i % 8) * width
          sheet.pixels.set(pixels.subarray(y * width, (y + 1) * width), line)
        }
      }
      return writePicture(to, sheet)
    })
})
