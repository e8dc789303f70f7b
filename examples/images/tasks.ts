/**
 * The tasks of the image pipeline, and their handlers: draw a picture, shrink a picture, join many pictures to a film
 * strip. All tasks are work for the CPU. A picture is a binary PGM file: a line of text, and a byte for each pixel.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Task from "@fanout/core/Task"
import * as Effect from "effect/Effect"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"

const common = { key: ({ to }: { readonly to: string }) => to, timeout: "1 minute" } as const

export const Draw = Task.make("images/Draw", { payload: { frame: Schema.Int, to: Schema.String }, ...common })
export const Shrink = Task.make("images/Shrink", { payload: { from: Schema.String, to: Schema.String }, ...common })
export const Join = Task.make("images/Join", {
  payload: { from: Schema.Array(Schema.String), to: Schema.String },
  ...common
})
export class Tasks extends RpcGroup.make(Draw, Shrink, Join) {}

const header = (width: number, height: number) => `P5 ${width} ${height} 255\n`

/** The pixels of a picture of this size, which an earlier stage has written. */
const read = (file: string, width: number, height: number): Uint8Array =>
  fs.readFileSync(file).subarray(header(width, height).length)

/** Writes under another name first. So no half picture ever has the final name. */
const write = (file: string, width: number, pixels: Uint8Array): void => {
  fs.writeFileSync(`${file}.new`, Buffer.concat([Buffer.from(header(width, pixels.length / width)), pixels]))
  fs.renameSync(`${file}.new`, file)
}

/** How soon a point of the plane escapes. The points of the Mandelbrot set never escape. */
const escapes = (x: number, y: number): number => {
  let a = 0
  let b = 0
  let n = 0
  for (; n < 255 && a * a + b * b < 4; n++) {
    const next = a * a - b * b + x
    b = 2 * a * b + y
    a = next
  }
  return n
}

export const Handlers = Tasks.toLayer({
  "images/Draw": Effect.fnUntraced(function*({ frame, to }) {
    const pixels = new Uint8Array(320 * 240)
    const zoom = 0.01 * 0.98 ** frame
    for (let y = 0; y < 240; y++) {
      // A safe point after each line of pixels.
      yield* Interrupter.check
      for (let x = 0; x < 320; x++) {
        pixels[y * 320 + x] = escapes((x - 160) * zoom - 0.7436, (y - 120) * zoom + 0.1318)
      }
    }
    write(to, 320, pixels)
  }),
  // Every fourth pixel of every fourth line.
  "images/Shrink": ({ from, to }) =>
    Effect.sync(() => {
      const large = read(from, 320, 240)
      write(to, 80, large.filter((_, i) => i % 4 === 0 && Math.floor(i / 320) % 4 === 0))
    }),
  // Puts the pictures below each other.
  "images/Join": ({ from, to }) =>
    Effect.sync(() => write(to, 80, Buffer.concat(from.map((file) => read(file, 80, 60)))))
})
