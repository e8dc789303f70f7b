import { assert, describe, it } from "@effect/vitest"
import * as clouds from "@fanout/ops/clouds"
import * as FileJobs from "@fanout/ops/FileJobs"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { FilesError } from "@fanout/ops/FilesError"
import * as FileThread from "@fanout/ops/FileThread"
import * as Media from "@fanout/ops/Media"
import * as MediaTask from "@fanout/ops/MediaTask"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Thumbnail from "@fanout/ops/Thumbnail"
import * as ThumbnailTask from "@fanout/ops/ThumbnailTask"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import type * as Scope from "effect/Scope"
import * as fs from "node:fs"
import { testFolder } from "./TestFolder.ts"

const { NEGATIVE_INFINITY, POSITIVE_INFINITY } = Number

const noSize = [NaN, NEGATIVE_INFINITY, POSITIVE_INFINITY, -1, 1.5, 1e300]
const noCount = [...noSize, 0]

type Door = readonly [
  string,
  given: ReadonlyArray<number>,
  go: (given: number) => Effect.Effect<unknown, unknown, Scope.Scope>
]

const doors: ReadonlyArray<Door> = [
  ["the number of threads", noCount, (count) => Layer.build(FileJobs.threads({ filename: "none" }, count))],
  ["the sockets of a store", noCount, (sockets) => Layer.build(clouds.layer({ sockets }))],
  ["the sockets of an examination", noCount, (sockets) => clouds.examine({ bucket: "none" }, { sockets })]
]

describe("a number from outside", () => {
  it.effect.each(doors)(
    "is refused as %s, with a sentence that names it",
    ([, given, go]) =>
      Effect.forEach(given, (number) =>
        Effect.gen(function*() {
          const exit = yield* Effect.exit(Effect.scoped(go(number)))
          const why = Exit.isFailure(exit) ? String(Cause.squash(exit.cause)) : "nothing"
          assert.match(why, /ha(?:s|ve) to be a whole number, at least 1.* given/, `${number}: ${why}`)
        }))
  )
})

type Change = readonly [
  string,
  given: ReadonlyArray<number>,
  go: (file: Files.OpenFile, given: number) => Effect.Effect<unknown, FilesError>
]

const noMode = [...noSize, 0o10000]

const changes: ReadonlyArray<Change> = [
  ["the place of a read", noSize, (file, at) => file.readAt(new Uint8Array(3), at)],
  ["the place of a write", noSize, (file, at) => file.writeAt(Buffer.from("x"), at)],
  ["the place of a copy", noSize, (file, at) => file.copyFrom(file, at, 1)],
  ["the length of a copy", noSize, (file, length) => file.copyFrom(file, 0, length)],
  ["the size of a file", noSize, (file, size) => file.truncate(size)],
  ["a mode", noMode, (file, mode) => file.setMode(mode)]
]

const systems = [["native", SystemFiles.layer], ["Node's", SystemFiles.layerNode]] as const

describe.each(systems)("a number for an open file (%s calls)", (_, layer) => {
  it.effect.each(changes)("is refused as %s, and changes nothing", ([, given, go]) =>
    Effect.gen(function*() {
      const { folder } = yield* Files.Files
      const path = yield* testFolder
      const file = yield* (yield* folder(path)).create(FilePath.make("a"))
      yield* file.writeAt(Buffer.from("hello"), 0)
      const before = fs.statSync(`${path}/a`)
      for (const number of given) {
        const error = yield* Effect.flip(go(file, number))
        assert.match(error.message, /the file system does not (take|support) /, `${number}`)
      }
      const { gid, mode, uid } = fs.statSync(`${path}/a`)
      assert.strictEqual(fs.readFileSync(`${path}/a`, "utf8"), "hello")
      assert.deepStrictEqual([mode, uid, gid], [before.mode, before.uid, before.gid])
    }).pipe(Effect.scoped, Effect.provide(layer)))
})

/** The schemas of all numbers within a schema. */
const numbersIn = (ast: unknown, seen: Set<unknown> = new Set()): ReadonlyArray<SchemaAST.Number> => {
  if (typeof ast !== "object" || ast === null || seen.has(ast)) return []
  seen.add(ast)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- told by its tag
  if ("_tag" in ast && ast._tag === "Number") return [ast as SchemaAST.Number]
  return Object.values(ast).flatMap((part) => numbersIn(part, seen))
}

const tasks = FileThread.Tasks.merge(MediaTask.ThreadTasks, ThumbnailTask.ProcessTasks)
const payloads = [
  ...[...FileJobs.jobs, Thumbnail.job, Media.job].map((job) => [job.name, job.payload.ast] as const),
  ...Array.from(tasks.requests.values(), (task) => [task._tag, task.payloadSchema.ast] as const)
]

describe("a number in a payload", () => {
  it("is looked for in all of them", () => {
    assert.isAbove(payloads.length, 10)
    assert.isAbove(payloads.flatMap(([, ast]) => numbersIn(ast)).length, 5)
  })

  it.each(payloads)("is whole and no less than 0 in that of %s", (_, ast) => {
    for (const number of numbersIn(ast)) {
      const fits = Schema.is(Schema.make<Schema.Codec<number>>(number))
      assert.deepStrictEqual(noSize.filter(fits), [], String(number))
    }
  })
})
