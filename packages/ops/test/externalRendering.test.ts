import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import { pdfPage, videoFrame } from "../src/internal/thumbnail/externalRendering.ts"
import { testFolder } from "./TestFolder.ts"

describe("externalRendering", () => {
  it.effect("tells what the system has answered where a file can't be opened, and calls it no broken file", () =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      const stat = yield* files.lstat(yield* testFolder)
      const error = yield* Effect.flip(pdfPage(FilePath.make(`/${"long/".repeat(1000)}file`), stat, 64))
      assert.deepInclude(error, { _tag: "FilesError", code: "ENAMETOOLONG" })
    }).pipe(Effect.scoped, Effect.provide(SystemFiles.layer)))

  it.effect("renders nothing that has taken the place of a file", () =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      const file = FilePath.join(yield* testFolder, FilePath.make("file"))
      fs.writeFileSync(file, "a")
      const stat = yield* files.lstat(file)
      const replace = [
        () => fs.writeFileSync(file, "another"),
        () => fs.mkdirSync(file),
        () => fs.symlinkSync("file-2", file),
        () => {}
      ]
      fs.renameSync(file, `${file}-2`)
      for (const put of replace) {
        put()
        assert.strictEqual((yield* Effect.flip(videoFrame(file, stat, 64)))._tag, "Replaced")
        assert.strictEqual((yield* Effect.flip(pdfPage(file, stat, 64)))._tag, "Replaced")
        fs.rmSync(file, { recursive: true, force: true })
      }
    }).pipe(Effect.scoped, Effect.provide(SystemFiles.layer)))
})
