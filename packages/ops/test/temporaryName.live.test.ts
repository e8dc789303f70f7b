import { assert, describe, it } from "@effect/vitest"
import * as JobId from "@fanout/core/JobId"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Effect from "effect/Effect"
import * as fs from "node:fs"
import * as TemporaryName from "../src/internal/path/temporaryName.ts"
import { asNobody } from "./asNobody.ts"
import { testFolder } from "./TestFolder.ts"

const job = JobId.make("1234567890ab")

describe("TemporaryName", () => {
  it.effect("sweeps folders that nobody may write in", () =>
    Effect.gen(function*() {
      const at = yield* testFolder
      const name = `${at}/${TemporaryName.make(job, 1, FilePath.join(at, FilePath.make("folder")))}`
      yield* asNobody(
        at,
        Effect.gen(function*() {
          fs.mkdirSync(`${name}/a/b`, { recursive: true })
          fs.writeFileSync(`${name}/a/b/file`, "")
          for (const folder of ["a/b", "a"]) fs.chmodSync(`${name}/${folder}`, 0o555)
          fs.chmodSync(name, 0o1700)

          const folder = yield* Files.Files.use((files) => files.folder(at))
          assert.strictEqual(yield* TemporaryName.sweep({ folder, job }), 1)
        })
      )
      assert.deepStrictEqual(fs.readdirSync(at), [])
    }).pipe(Effect.scoped, Effect.provide(SystemFiles.layer)))
})
