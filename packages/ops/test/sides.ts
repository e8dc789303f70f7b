import * as Files from "@fanout/ops/Files"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as FaultyFiles from "./FaultyFiles.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

/** Files of a disk for the owner of a job and for others, which take their time to read and tell who has. */
export class Sides {
  /** How often others were started. */
  started = 0
  here = 0
  there = 0
  readonly files: Files.Files["Service"]
  private readonly theirs: Files.Files["Service"]

  constructor(disk: MemoryFiles.Disk, readMillis: number) {
    const noting = (note: () => void) =>
      FaultyFiles.intercept(MemoryFiles.make(disk), (call) => {
        if (call !== "read") return Effect.void
        note()
        return readMillis === 0 ? Effect.void : Effect.sleep(readMillis)
      })
    this.files = noting(() => this.here++)
    this.theirs = noting(() => this.there++)
  }

  /** One of the others, by a layer that has their files. */
  readonly others = <A>(layer: Layer.Layer<A, never, Files.Files>) => ({
    layer: Layer.unwrap(Effect.sync(() => {
      this.started++
      return Layer.provide(layer, Layer.succeed(Files.Files, this.theirs))
    })),
    count: 1
  })
}
