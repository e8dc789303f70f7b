import { assert, describe, it } from "@effect/vitest"
import * as JobManager from "@fanout/core/JobManager"
import * as Outcome from "@fanout/core/Outcome"
import * as Pools from "@fanout/core/Pools"
import { layer } from "@fanout/core/testing"
import { layerProcesses } from "@fanout/core/threads"
import * as FilePath from "@fanout/ops/FilePath"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Thumbnail from "@fanout/ops/Thumbnail"
import { ProcessTasks } from "@fanout/ops/ThumbnailTask"
import * as ThumbnailVariant from "@fanout/ops/ThumbnailVariant"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as fs from "node:fs"
import * as path from "node:path"
import { isLong } from "../../../test/effort.ts"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import { picture } from "./pictures.ts"
import { testFolder } from "./TestFolder.ts"

/** Something to know processes by. */
const mark = `fanout-thumbnails-${process.pid}`

const processes = layerProcesses(ProcessTasks, {
  module: new URL("./thumbnailChild.ts", import.meta.url),
  size: 2,
  argv: [mark],
  execArgv: ["--conditions=@fanout/source"]
})

const runtime = Layer.merge(
  layer({ jobs: [Thumbnail.job] }).pipe(Layer.provide(
    Thumbnail.job.toLayer((payload) => Thumbnail.program(payload).pipe(Effect.provide(processes), Effect.orDie))
      .pipe(Layer.provide([SystemFiles.layer, Pools.layer({ io: 8 })]))
  )),
  SystemFiles.layer
)

const request = (folder: FilePath.FilePath): Thumbnail.Payload => ({
  sources: [folder],
  output: FilePath.join(folder, FilePath.make("out")),
  variants: ThumbnailVariant.defaults,
  format: "webp"
})

/** Makes thumbnails of what is in a folder, or of something else, in a folder in there. */
const run = Effect.fnUntraced(function*(folder: FilePath.FilePath, source = folder) {
  const manager = yield* JobManager.JobManager
  const job = yield* manager.start(Thumbnail.job, yield* Thumbnail.plan({ ...request(folder), sources: [source] }))
  const { done, failed, skipped, tags, units } = yield* job.await
  const rows = yield* Stream.runCollect(manager.outcomes(job.id, ["Failed"]))
  const failures = rows.map(({ key, outcome }) =>
    `${path.basename(key)}: ${outcome._tag === "Failed" ? Outcome.message(outcome.failure) : ""}`
  ).toSorted()
  return { tally: { done, failed, skipped, tags }, units, failures }
})

const marked = () =>
  fs.globSync("/proc/[0-9]*/cmdline").filter((file) => {
    try {
      return fs.readFileSync(file, "latin1").includes(mark)
    } catch {
      return false
    }
  })

describe.runIf(process.platform === "linux")("Thumbnail", () => {
  // A task that hangs is ended after half a minute: that is for long runs.
  const [whole, hanging] = isLong ? [190, ["hangs-1.jpg", "hangs-2.jpg"]] : [35, []]

  it.live(`makes ${whole} where three crash their process, ${hanging.length} hang it and five are corrupt`, () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      yield* Effect.promise(async () => {
        const names = Array.from({ length: whole }, (_, n) => `${n}.jpg`)
        const bad = ["crashes-1.jpg", "crashes-late.jpg", "aborts.jpg", ...hanging]
        for (const [seed, name] of [...names, ...bad].entries()) {
          fs.writeFileSync(path.join(folder, name), await picture(800, 600, seed).jpeg().toBuffer())
        }
        const first = fs.readFileSync(path.join(folder, "0.jpg"))
        for (let n = 1; n <= 5; n++) {
          fs.writeFileSync(path.join(folder, `half-${n}.jpg`), first.subarray(0, first.length / 2 - n))
        }
      })

      const start = performance.now()
      const { failures, tally, units } = yield* run(folder)
      const seconds = (performance.now() - start) / 1000

      assert.deepStrictEqual(tally, { done: whole, failed: 8 + hanging.length, skipped: 0, tags: { Made: whole } })
      assert.strictEqual(units["thumbnails"], 3 * whole)
      const killed = (name: string, signal: string) => `${name}: quarantined: its process was killed by ${signal}`
      const halves = failures.filter((text) => text.startsWith("half-"))
      assert.deepStrictEqual(failures.filter((text) => !text.startsWith("half-")), [
        killed("aborts.jpg", "SIGABRT"),
        killed("crashes-1.jpg", "SIGSEGV"),
        killed("crashes-late.jpg", "SIGSEGV"),
        ...hanging.map((name) => `${name}: the task took longer than 30000 ms`)
      ])
      assert.lengthOf(halves, 5)
      for (const text of halves) assert.match(text, /premature end of JPEG image/)
      // Both deadlines one after the other, with their grace, and the work.
      assert.isBelow(seconds, 2 * 31.1 + 25)
      assert.deepStrictEqual(marked(), [])
      const out = fs.readdirSync(path.join(folder, "out"))
      assert.deepStrictEqual(out.filter((name) => name.startsWith(".")), [])
    }).pipe(Effect.provide(runtime)))

  it.live("leaves what is there, and makes nothing of thumbnails", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      yield* Effect.promise(async () => {
        const same = await picture(800, 600).jpeg().toBuffer()
        for (const name of ["a.jpg", "b.jpg"]) fs.writeFileSync(path.join(folder, name), same)
        fs.writeFileSync(path.join(folder, "c.jpg"), await picture(800, 600, 1).jpeg().toBuffer())
      })
      const first = yield* run(folder)
      assert.strictEqual(first.tally.done, 3)
      fs.symlinkSync("a.jpg", path.join(folder, "link.jpg"))
      const second = yield* run(folder)
      assert.deepStrictEqual(second.tally, { done: 3, failed: 0, skipped: 0, tags: { Existing: 3 } })
    }).pipe(Effect.provide(runtime)))

  it.live("fails for a link that was named and leads nowhere", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const link = FilePath.join(folder, FilePath.make("link.jpg"))
      fs.symlinkSync("nowhere", link)
      const { failures } = yield* run(folder, link)
      assert.deepStrictEqual(failures, [`link.jpg: "${link}" is a link that leads to nothing that can be read`])
    }).pipe(Effect.provide(runtime)))

  it.live("sweeps what owners of the job have left, on a cancel", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const payload = yield* Thumbnail.plan(request(folder))
      const manager = yield* JobManager.JobManager
      const { id } = yield* manager.start(Thumbnail.job, payload)
      const others = yield* manager.start(Thumbnail.job, { ...payload, format: "jpeg" })
      const names = [id, others.id].map((job) => TemporaryName.make(job, 1, FilePath.make("x")))
      for (const name of names) fs.writeFileSync(path.join(payload.output, name), "")
      yield* Thumbnail.onCancel(payload, id)
      assert.deepStrictEqual(fs.readdirSync(payload.output), names.slice(1))
    }).pipe(Effect.provide(runtime)))
})
