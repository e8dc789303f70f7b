import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { spawnSync } from "node:child_process"
import * as Destination from "../src/internal/path/destination.ts"
import { testFolder } from "./TestFolder.ts"

const fixture = `
  mkdir -p src/sub dst taken/file blocked deep/er
  for file in src/a src/sub/b file other blocked/src deep/er/file taken/kept; do echo $file > $file; done
  ln -s src to-src; ln -s dst to-dst; ln -s file to-file; ln -s src/sub to-sub
  ln file hard`

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>) =>
  spawnSync(command, args, { cwd, encoding: "utf8" })

const describeTree = "find . -printf '%p %y %l\\n' | sort; find . -type f | sort | xargs cat"
const isGnu = run("/", "cp", "--version").stdout?.includes("GNU") ?? false

describe("Destination", () => {
  it.live.each<readonly [sources: ReadonlyArray<string>, destination: string, flag?: "-T"]>([
    [["src"], "new"],
    [["src"], "new/"],
    [["src"], "dst"],
    [["src/"], "dst"],
    [["src/"], "dst/"],
    [["src/."], "dst"],
    [["src/."], "new"],
    [["src/sub/.."], "dst"],
    [["src"], "dst/."],
    [["src"], "dst", "-T"],
    [["src"], "taken", "-T"],
    [["src/."], "taken", "-T"],
    [["file"], "new"],
    [["file"], "new", "-T"],
    [["file"], "new/"],
    [["file"], "other"],
    [["file"], "other/"],
    [["file"], "dst"],
    [["file"], "dst/"],
    [["file"], "dst/new"],
    [["file"], "dst", "-T"],
    [["file"], "missing/new"],
    [["file"], "file/new"],
    [["file/"], "dst"],
    [["missing"], "dst"],
    [["src"], "missing/new"],
    [["src"], "to-dst"],
    [["src"], "to-dst/"],
    [["src"], "to-dst", "-T"],
    [["src"], "to-dst/", "-T"],
    [["to-src"], "new"],
    [["to-src/"], "new"],
    [["to-src/"], "dst"],
    [["to-src/."], "dst"],
    [["to-src/a"], "dst"],
    [["to-file"], "dst"],
    [["dst/../src"], "new"],
    [["src", "file"], "dst"],
    [["src", "file"], "to-dst"],
    [["src", "file"], "new"],
    [["src", "file"], "other"],
    [["src", "file"], "dst", "-T"],
    [["src"], "src"],
    [["src"], "src", "-T"],
    [["src"], "."],
    [["src/."], "src"],
    [["src"], "src/sub/new"],
    [["src"], "to-sub"],
    [["to-src/"], "src/sub/new"],
    [["."], "dst"],
    [["file"], "file"],
    [["file"], "hard"],
    [["file"], "to-file"],
    [["to-file"], "file"],
    [["src"], "blocked"],
    [["src"], "file"],
    [["file"], "taken"],
    [["file", "deep/er/file"], "dst"],
    [["file", "./file", "other", "dst/../file"], "dst"],
    [["src", "file", "src", "to-src/../src"], "dst"],
    [["deep/er"], "."],
    [["deep/er/file"], "."]
  ])(
    "copies %s to %s (%s) as GNU cp does, and refuses what that refuses",
    ([sources, destination, flag]) =>
      Effect.gen(function*() {
        if (!isGnu || !Arr.isReadonlyArrayNonEmpty(sources)) return
        const [theirs, ours] = [yield* testFolder, yield* testFolder]
        for (const folder of [theirs, ours]) run(folder, "sh", "-c", fixture)

        const cp = run(theirs, "cp", "-a", ...(flag === undefined ? [] : [flag]), ...sources, destination)
        const transfers = yield* Effect.exit(Effect.provide(
          Destination.resolve({
            sources: Arr.map(sources, (source) => FilePath.join(ours, FilePath.make(source))),
            destination: FilePath.join(ours, FilePath.make(destination)),
            isTarget: flag === "-T"
          }),
          SystemFiles.layer
        ))

        assert.strictEqual(Exit.isSuccess(transfers), cp.status === 0, cp.stderr || String(transfers))
        if (Exit.isFailure(transfers)) return
        for (const { source, target } of transfers.value) {
          assert.strictEqual(run(ours, "cp", "-aT", "--remove-destination", source, target).stderr, "")
        }
        assert.strictEqual(
          run(ours, "sh", "-c", describeTree).stdout,
          run(theirs, "sh", "-c", describeTree).stdout
        )
      })
  )
})
