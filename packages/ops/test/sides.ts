import * as Files from "@fanout/ops/Files"
import * as Clock from "effect/Clock"
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
  private readNanos = 0n

  constructor(disk: MemoryFiles.Disk, readMillis: number) {
    const noting = (note: () => void) =>
      FaultyFiles.intercept(MemoryFiles.make(disk), (call) => {
        if (call !== "read") return Effect.void
        note()
        this.readNanos += BigInt(readMillis) * 1_000_000n
        return Effect.void
      })
    this.files = noting(() => this.here++)
    this.theirs = noting(() => this.there++)
  }

  /** Clock that goes on while files are read. */
  readonly clock: Effect.Effect<Clock.Clock> = Clock.clockWith((clock) =>
    Effect.succeed({ ...clock, monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + this.readNanos })
  )

  /** One of the others, by a layer that has their files. */
  readonly others = <A>(layer: Layer.Layer<A, never, Files.Files>) => ({
    layer: Layer.unwrap(Effect.sync(() => {
      this.started++
      return Layer.provide(layer, Layer.succeed(Files.Files, this.theirs))
    })),
    count: 1
  })
}
