import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import type * as Files from "@fanout/ops/Files"
import type * as Filter from "@fanout/ops/Filter"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { measure, type Measuring } from "../src/internal/files/folderSize.ts"
import * as libc from "../src/internal/files/libcCalls.ts"
import * as node from "../src/internal/files/nodeCalls.ts"
import { now } from "../src/internal/files/routine.ts"
import { testFolder } from "./TestFolder.ts"

describe.each([["libc", libc.calls], ["node:fs", node.calls]] as const)("folders by %s", (_, calls) => {
  it.effect("are measured, if there is nothing in them but files, links and folders, and no more than so much", () =>
    Effect.gen(function*() {
      const at = yield* testFolder
      for (const folder of ["a/b/c", "a/empty"]) fs.mkdirSync(`${at}/${folder}`, { recursive: true })
      for (const name of ["a/1", "a/2", "a/b/3", "a/b/c/4"]) fs.writeFileSync(`${at}/${name}`, "content")
      fs.symlinkSync("../1", `${at}/a/b/link`)
      const measured = (name: string, most: number, more: Omit<Measuring, "most"> = {}) =>
        now(measure, calls, calls.openPath(FilePath.make(`${at}/${name}`), "list"), { most, ...more })
      assert.deepStrictEqual(measured("a", 9), Option.some({ leaves: 5, folders: 4 }))
      assert.deepStrictEqual(measured("a/empty", 1), Option.some({ leaves: 0, folders: 1 }))
      for (const [name, most] of [["a", 8], ["nothing", 9], ["a/b/link", 9]] as const) {
        assert.deepStrictEqual(measured(name, most), Option.none())
      }
      assert.deepStrictEqual(measured("a", 9, { isFollowing: true }), Option.none())
      fs.symlinkSync("2", `${at}/a/beside`)
      fs.symlinkSync("c", `${at}/a/b/c/beside`)
      const followed = (name: string) => measured(name, 99, { isFollowing: true })
      assert.deepStrictEqual([followed("a/b"), followed("a/b/c"), measured("a/b/c", 9)], [
        Option.none(),
        Option.none(),
        Option.some({ leaves: 2, folders: 1 })
      ])
      fs.rmSync(`${at}/a/b/c/beside`)
      fs.rmSync(`${at}/a/b/link`)
      assert.deepStrictEqual(followed("a"), Option.some({ leaves: 5, folders: 4 }))
      fs.symlinkSync("3", `${at}/a/b/link`)
      assert.deepStrictEqual(followed("a"), Option.some({ leaves: 6, folders: 4 }))
      fs.rmSync(`${at}/a/beside`)
      // Of those that are too much it is told what is known of folders in them, which are met in any order.
      for (const most of [1, 2, 3, 4, 5, 6, 7, 8]) {
        const told = new Map<string, Files.FolderSize>()
        measured("a", most, { tell: (below, size) => told.set(`a/${below}`, size) })
        assert.isTrue(most < 8 || told.size > 0)
        for (const [name, size] of told) assert.deepStrictEqual(measured(name, 9), Option.some(size))
        assert.isFalse(told.has("a/b") && told.has("a/b/c"))
      }
      execFileSync("mkfifo", [`${at}/a/b/pipe`])
      assert.deepStrictEqual(measured("a", 99), Option.none())
      const isLeftOut: Filter.Filter = (path, isFolder) => (path === "b/c" && isFolder) || path === "b/pipe"
      assert.deepStrictEqual(measured("a", 99, { isLeftOut }), Option.some({ leaves: 4, folders: 3 }))
      fs.mkdirSync(`${at}/deep${"/d".repeat(20)}`, { recursive: true })
      assert.deepStrictEqual(measured("deep", 99), Option.none())
    }))
})
