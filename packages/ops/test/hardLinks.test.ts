import { assert, describe, it } from "@effect/vitest"
import * as Pools from "@fanout/core/Pools"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import { settle } from "@fanout/core/testing"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/testing/TestClock"
import * as Place from "../src/internal/path/place.ts"
import * as HardLinks from "../src/internal/steps/linkedCopies.ts"
import * as MemoryFiles from "./MemoryFiles.ts"

const disk = new MemoryFiles.Disk()
disk.file("/file", "text")

/** Moves something twice: what was moved first is owed by then, so it waits a second, without its permit. */
const twice = Effect.andThen(TaskDispatcher.throttle(1000), TaskDispatcher.throttle(1))

const copied = { strategy: "whole", sizeBytes: 0, lost: [] }

const copyName = Effect.gen(function*() {
  const place = yield* Place.open(FilePath.make("/file"))
  const request = {
    source: place,
    target: place,
    stat: yield* Place.lstat(place),
    temporary: FilePath.make("temporary"),
    placing: "exclusive",
    options: CopyOptions.CopyOptions.defaultValue()
  } as const
  yield* HardLinks.copy(request, Effect.as(twice, copied))
}).pipe(Effect.scoped, Effect.provide(MemoryFiles.layer(disk)))

const layer = TaskDispatcher.layer.pipe(Layer.provideMerge(Pools.layer({ io: 1 })))

describe("tasks of a copy that wait for one another", () => {
  it.effect("leave their permits to names of one file", () =>
    Effect.gen(function*() {
      const { runEffect } = yield* (yield* TaskDispatcher.TaskDispatcher).limited({ bytesPerSecond: 1000 })
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 3 }), () => runEffect(copyName, { pool: "io" }), {
          concurrency: "unbounded",
          discard: true
        })
      )
      yield* Effect.andThen(settle, TestClock.adjust("1 minute"))
      assert.isNotNull(fiber.pollUnsafe() ?? null)
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(layer)))
})
