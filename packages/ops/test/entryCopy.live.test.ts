import { assert, describe, it } from "@effect/vitest"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as EntryCopy from "../src/internal/entry/entryCopy.ts"
import * as FolderCopy from "../src/internal/entry/folderCopy.ts"
import * as Place from "../src/internal/path/place.ts"
import * as FileTree from "../src/internal/tree/fileTree.ts"
import { testFolder } from "./TestFolder.ts"

/** Copies a tree by walking it, without a job. */
const copyTree = (source: FilePath.FilePath, target: FilePath.FilePath) =>
  FileTree.walk({ sources: [source] }).pipe(
    Stream.runForEach(Effect.fnUntraced(function*(element) {
      const [from, to] = [FilePath.join(source, element.path), FilePath.join(target, element.path)]
      const places = { source: yield* Place.open(from), target: yield* Place.open(to) }
      if (element._tag === "Close") {
        return yield* Effect.asVoid(
          FolderCopy.finish(places.source, places.target, CopyOptions.CopyOptions.defaultValue())
        )
      }
      const stat = yield* Place.lstat(places.source)
      yield* EntryCopy.copy({
        ...places,
        stat,
        temporary: FilePath.make(".temporary"),
        placing: "exclusive",
        options: CopyOptions.CopyOptions.defaultValue()
      })
    }, Effect.scoped)),
    Effect.provide(SystemFiles.layer)
  )

interface Entry {
  /** Kind, mode, size, target and name. */
  readonly text: string
  readonly seconds: number
}

/** Everything in a folder, as another program sees it. */
const listed = (folder: string): ReadonlyArray<Entry> =>
  execFileSync("find", [".", "-printf", "%y %m %s %l %p\\t%T@\\0"], { cwd: folder, encoding: "latin1" })
    .split("\0").slice(0, -1).toSorted()
    .map((line) => {
      const at = line.lastIndexOf("\t")
      return { text: line.slice(0, at), seconds: Number(line.slice(at + 1)) }
    })

const fixture = `
  mkdir -p "sub folder/deep" empty private
  printf 'text' > file; printf '' > nothing; head -c 20000000 /dev/urandom > large
  head -c 1048576 /dev/urandom > sub\\ folder/exact; head -c 16384 /dev/urandom > sub\\ folder/buffer
  printf x > "sub folder/$(printf 'caf\\351 \\n\\\\')"; printf y > "sub folder/deep/é"; printf z > -n
  ln -s "../nowhere/$(printf '\\377')" sub\\ folder/link; ln -s . loop
  chmod 400 file; chmod 4711 ./-n; chmod 1777 empty; chmod 500 private
  touch -d '1969-12-31 23:59:58.25 UTC' nothing; touch -d '2001-02-03 04:05:06.789123456 UTC' large file
  touch -h -d '2010-01-01 00:00:00.5 UTC' loop; touch -d '2038-01-19 03:14:08 UTC' empty`

describe("EntryCopy", () => {
  it.live("copies names, content, modes, times and links of a real tree", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const [source, target] = [`${folder}/source`, `${folder}/target`]
      fs.mkdirSync(source)
      execFileSync("sh", ["-c", fixture], { cwd: source })

      yield* copyTree(FilePath.make(source), FilePath.make(target))

      execFileSync("diff", ["-r", "--no-dereference", source, target])
      const [expected, actual] = [listed(source), listed(target)]
      assert.deepStrictEqual(actual.map(({ text }) => text), expected.map(({ text }) => text))
      assert.strictEqual(expected.length, 15)
      for (const [index, { seconds, text }] of expected.entries()) {
        assert.isBelow(Math.abs((actual[index]?.seconds ?? 0) - seconds), 0.000_001, text)
      }
    }))

  it.live.runIf(fs.existsSync("/proc/self/status"))(
    "copies files that say they are empty and are not",
    () =>
      Effect.gen(function*() {
        const folder = yield* testFolder
        const target = FilePath.make(`${folder}/copy`)

        yield* copyTree(FilePath.make("/proc/cpuinfo"), target)

        assert.strictEqual(fs.statSync("/proc/cpuinfo").size, 0)
        assert.match(fs.readFileSync(target, "utf8"), /^processor[^]*\n$/)
      })
  )

  it.live.runIf(process.getuid?.() === 0)(
    "makes no program of somebody else run with the rights of root",
    () =>
      Effect.gen(function*() {
        const folder = yield* testFolder
        const source = `${folder}/source`
        fs.writeFileSync(source, "program")
        fs.chownSync(source, 65_534, 0)
        fs.chmodSync(source, 0o6755)

        yield* copyTree(FilePath.make(source), FilePath.make(`${folder}/target`))

        assert.strictEqual(fs.statSync(`${folder}/target`).mode & 0o7777, 0o2755)
      })
  )
})
