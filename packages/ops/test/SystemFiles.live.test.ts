import { assert, describe, it } from "@effect/vitest"
import { type Calls, isCode } from "@fanout/ops/Calls"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import * as SystemFiles from "@fanout/ops/SystemFiles"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { tmpdir } from "node:os"
import { type Reader, readFiles } from "../src/internal/content/fileReader.ts"
import { mostDeep } from "../src/internal/files/folderSize.ts"
import { calls as nodeCalls } from "../src/internal/files/nodeCalls.ts"
import { QuickFiles } from "../src/internal/files/quickFiles.ts"
import { now } from "../src/internal/files/routine.ts"
import { removeTree } from "../src/internal/files/treeRemoval.ts"
import { FileCopy } from "../src/internal/units/fileCopy.ts"
import { compareNames, type Comparer } from "../src/internal/verify/pairComparison.ts"
import { asNobody } from "./asNobody.ts"
import { filesContract } from "./FilesContract.ts"
import { testFolder } from "./TestFolder.ts"

const n = FilePath.make

/** Calls through `node:fs` that are waited for. */
const layerNodeBlocking = Layer.succeed(Files.Files, SystemFiles.of(nodeCalls))

/** Does work that makes many calls, where that is possible. */
const atOnce = <A>(work: (calls: Calls) => A) =>
  Effect.flatMap(Files.Files, (files) => Effect.map(files.atOnce(work), Option.getOrThrow))

describe("SystemFiles", () => {
  filesContract(it, SystemFiles.layer, testFolder, { isAtOnce: false })

  describe("that blocks", () => {
    filesContract(it, SystemFiles.layerBlocking, testFolder, { isAtOnce: true })
  })

  describe("where it is quick", () => {
    const quick = Layer.effect(
      Files.Files,
      Effect.gen(function*() {
        const found = yield* (yield* QuickFiles).throughout([FilePath.make(fs.realpathSync(tmpdir()))])
        return Option.isSome(found) ? found.value : yield* Files.Files
      })
    )
    // Where a call was slow, others are not made at once for a while.
    filesContract(it, Layer.provide(quick, [SystemFiles.layerQuick, SystemFiles.layer]), testFolder)
  })

  it.live("knows where it is not quick", () =>
    Effect.gen(function*() {
      const { throughout } = yield* QuickFiles
      assert.isTrue(Option.isNone(yield* throughout([FilePath.make("/proc")])))
      assert.isTrue(Option.isNone(yield* throughout([FilePath.make(tmpdir()), FilePath.make("/proc")])))
      // `/proc` is mounted in there.
      assert.isTrue(Option.isNone(yield* throughout([FilePath.make("/")])))
      const many = Array.from({ length: 1001 }, (_, n) => FilePath.make(`${tmpdir()}/${n}`))
      assert.isTrue(Option.isNone(yield* throughout(many)))
    }).pipe(Effect.provide(SystemFiles.layerQuick)))

  describe("through node:fs", () => {
    filesContract(it, SystemFiles.layerNode, testFolder, { isAtOnce: false, unnamed: false })
  })

  describe("through node:fs that blocks", () => {
    filesContract(it, layerNodeBlocking, testFolder, { isAtOnce: true, unnamed: false })
  })

  const memory = "/dev/shm"
  const isElsewhere = fs.existsSync(memory) && fs.statSync(memory).dev !== fs.statSync(process.execPath).dev

  it.live.skipIf(process.platform !== "linux" || !isElsewhere)(
    "copies within the kernel from one file system to another",
    () =>
      Effect.gen(function*() {
        const files = yield* Files.Files
        const at = yield* Effect.acquireRelease(
          Effect.sync(() => fs.mkdtempSync(`${memory}/fanout-ops-`)),
          (at) => Effect.sync(() => fs.rmSync(at, { recursive: true }))
        )
        const executable = fs.realpathSync(process.execPath)
        const source = yield* files.folder(FilePath.parent(FilePath.make(executable)))
        const from = yield* source.open(FilePath.name(FilePath.make(executable)))
        const to = yield* (yield* files.folder(FilePath.make(at))).create(FilePath.make("copy"))
        const mebi = 2 ** 20
        assert.strictEqual(yield* to.copyFrom(from, mebi, mebi), mebi)
        assert.strictEqual(yield* to.copyFrom(from, 0, mebi), mebi)
        assert.strictEqual(yield* to.copyFrom(from, 1e12, mebi), 0)
        const copy = fs.readFileSync(`${at}/copy`)
        const expected = Buffer.alloc(2 * mebi)
        const descriptor = fs.openSync(executable, "r")
        fs.readSync(descriptor, expected)
        fs.closeSync(descriptor)
        assert.isTrue(copy.equals(expected))
      }).pipe(Effect.provide(SystemFiles.layer))
  )

  describe.skipIf(process.getuid?.() !== 0).each([
    ["libc", SystemFiles.layerBlocking],
    ["node:fs", layerNodeBlocking]
  ])("by %s", (_, layer) => {
    it.live("makes what it may not give to its owner, with the group at least, and tells that", () =>
      Effect.gen(function*() {
        const at = yield* testFolder
        for (const folder of ["from", "to"]) fs.mkdirSync(`${at}/${folder}`)
        fs.symlinkSync("nothing", `${at}/from/of root`)
        fs.symlinkSync("nothing", `${at}/from/own`)
        fs.writeFileSync(`${at}/from/file`, "")
        const group = process.getegid?.() ?? 0
        fs.lchownSync(`${at}/from/own`, 65_534, group)
        // What is made in there has another group at first.
        fs.chownSync(`${at}/to`, 65_534, 65_534)
        fs.chmodSync(`${at}/to`, 0o2700)
        const told = yield* asNobody(
          at,
          atOnce((calls) => {
            const [from, to] = ["from", "to"].map((name) => calls.openPath(n(`${at}/${name}`), "folder").now())
            if (typeof from !== "number" || typeof to !== "number") return assert.fail()
            const files = new FileCopy(calls, {
              keeps: new Set(["owner"]),
              isMove: false,
              mayGoOn: () => true,
              take: undefined
            })
            const told = ["of root", "own", "file"].map(n).map((name) => {
              const stat = calls.lstat(from, name).now()
              return isCode(stat)
                ? assert.fail(stat.name)
                : [now(() => files.copy({ from, name, stat, to, as: name })), files.lost]
            })
            for (const folder of [from, to]) calls.closeNow(folder)
            return told
          })
        )
        assert.deepStrictEqual(told, [["copied", ["owner"]], ["copied", []], ["copied", ["owner"]]])
        const owners = ["of root", "own", "file"].map((name) => {
          const { gid, uid } = fs.lstatSync(`${at}/to/${name}`)
          return [uid, gid]
        })
        assert.deepStrictEqual(owners, [[65_534, group], [65_534, group], [65_534, group]])
      }).pipe(Effect.provide(layer)))
  })

  it.live("lists a folder too large for one call", () =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      const folder = yield* testFolder
      const names = Array.from({ length: 5000 }, (_, i) => `a rather long name for a file of its own, number ${i}`)
      for (const name of names) fs.closeSync(fs.openSync(`${folder}/${name}`, "w"))
      assert.isAbove(fs.lstatSync(folder).size, 65_536)

      const listing = yield* files.list(folder)

      assert.deepStrictEqual(
        Array.from({ length: listing.size }, (_, i) => listing.nameAt(i)),
        names.toSorted().map(FilePath.make)
      )
    }).pipe(Effect.provide(SystemFiles.layer)))

  it.live("removes a tree that has become large in steps", () =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      const folder = yield* testFolder
      fs.mkdirSync(`${folder}/tree/large`, { recursive: true })
      for (let i = 0; i < 5000; i++) fs.closeSync(fs.openSync(`${folder}/tree/large/${i}`, "w"))
      let [removed, steps, left] = [0, 0, 0]
      const remover = {
        mayGoOn: () => left-- > 0,
        *begin() {
          return true
        },
        *isLeft() {
          return false
        },
        removedName: () => void removed++,
        removedFolder: () => {}
      }
      const parent = yield* files.folder(FilePath.make(folder))
      for (let isThrough = false; !isThrough; steps++) {
        left = 10
        const remove = parent.atOnce((calls, inode) => now(removeTree, calls, inode, n("tree"), remover, mostDeep))
        isThrough = Option.getOrThrow(yield* remove)
        assert.isAtMost(removed, (steps + 1) * 10 * 32)
      }
      assert.deepStrictEqual([fs.readdirSync(folder), removed], [[], 5000])
      assert.isAbove(steps, 15)
    }).pipe(Effect.scoped, Effect.provide(SystemFiles.layerBlocking)))

  it.live("makes any number of calls at the same time", () =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      const folder = yield* Effect.flatMap(testFolder, files.folder)
      const found = yield* Effect.forEach(
        Array.from({ length: 2000 }, (_, i) => FilePath.make(`nothing ${i}`)),
        (name) => folder.find(name),
        { concurrency: "unbounded" }
      )
      assert.isTrue(found.every(Option.isNone))
    }).pipe(Effect.provide(SystemFiles.layer)))

  it.live("names file systems that have an id of their own, and no others", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      fs.writeFileSync(`${folder}/file`, "")
      const type = execFileSync("stat", ["-f", "-c", "%t %i", folder], { encoding: "utf8" }).trim()
      const nameOf = (path: string) =>
        Effect.flatMap(Files.Files, (files) =>
          Effect.scoped(Effect.flatMap(files.open(FilePath.make(path)), (file) => file.fileSystem)))

      const name = yield* nameOf(`${folder}/file`)
      const none = yield* nameOf("/proc/version")
      const byNode = yield* Effect.provide(nameOf(`${folder}/file`), SystemFiles.layerNode)

      const [magic = "", id = ""] = type.split(" ")
      const prefix = new Map([["ef53", "ext"], ["9123683e", "btrfs"], ["1021994", "tmpfs"]]).get(magic)
      // The two halves of the number are printed the other way round.
      const number = BigInt(`0x${id.padStart(16, "0").slice(8)}${id.padStart(16, "0").slice(0, 8)}`)
      if (prefix !== undefined) {
        assert.deepStrictEqual(name, number === 0n ? Option.none() : Option.some(`${prefix}-${number.toString(36)}`))
      }
      assert.deepStrictEqual([none, byNode], [Option.none(), Option.none()])
    }).pipe(Effect.provide(SystemFiles.layer)))

  it.live("tells which of two files was written to while they were compared, whatever they came to", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      const [a, b] = [`${folder}/a`, `${folder}/b`]
      for (const tree of [a, b]) fs.mkdirSync(tree)
      const names = [FilePath.make("file")]
      const compare = (change: () => void) => {
        for (const tree of [a, b]) {
          fs.rmSync(`${tree}/file`, { force: true })
          fs.writeFileSync(`${tree}/file`, "text")
          fs.utimesSync(`${tree}/file`, 1, 1)
        }
        return compareIn(a, b, change)
      }
      const compareIn = (a: string, b: string, change: () => void) => {
        const notes: Array<string> = []
        const comparer: Comparer = {
          buffers: [Buffer.alloc(16), Buffer.alloc(16)],
          begin: () => {
            change()
            return true
          },
          end: (at) => void notes.push(at === undefined ? "same" : `from ${at} on`),
          changed: (side) => void notes.push(side),
          leave: () => void notes.push("left")
        }
        const folders = [{ path: FilePath.empty, names }]
        const comparison = { a: FilePath.make(a), b: FilePath.make(b), folders, comparer }
        return Effect.as(atOnce((calls) => compareNames(calls, comparison, () => true)), notes)
      }
      assert.deepStrictEqual(yield* compare(() => {}), ["same"])
      assert.deepStrictEqual(yield* compare(() => fs.writeFileSync(`${a}/file`, "texT")), ["A"])
      assert.deepStrictEqual(yield* compare(() => fs.truncateSync(`${b}/file`, 1)), ["B"])
      assert.deepStrictEqual(yield* compare(() => fs.chmodSync(`${b}/file`, 0o600)), ["B"])
      // What is open is what is compared.
      const swap = () => {
        fs.renameSync(`${b}/file`, `${b}/other`)
        fs.symlinkSync("/etc/passwd", `${b}/file`)
      }
      assert.deepStrictEqual(yield* compare(swap), ["B"])
      // Files of the kernel say that they are empty.
      names[0] = FilePath.make("stat")
      assert.deepStrictEqual(yield* compareIn(`/proc/${process.pid}`, `/proc/${process.ppid}`, () => {}), ["left"])
    }).pipe(Effect.provide(SystemFiles.layerBlocking)))

  describe.each([["libc", SystemFiles.layerBlocking], ["node:fs", layerNodeBlocking]] as const)(
    "by %s",
    (_, layer) => {
      // The buffer has four bytes: one of the files fits in there.
      it.live.each(["abc", "abcdef"])(
        "tells whether %s was written to while it was read",
        (content) =>
          Effect.gen(function*() {
            const folder = yield* testFolder
            const file = `${folder}/file`
            const ends = (change: () => void) =>
              Effect.gen(function*() {
                const ended: Array<boolean> = []
                fs.writeFileSync(file, content)
                fs.utimesSync(file, 1, 1)
                const reader: Reader = {
                  buffer: new Uint8Array(4),
                  mayGoOn: () => true,
                  begin: () => true,
                  piece: () => change(),
                  end: (isSame) => void ended.push(isSame),
                  fail: () => assert.fail()
                }
                const folders = [{ path: folder, names: [FilePath.make("file")] }]
                yield* atOnce((calls) => readFiles(calls, folders, reader, reader.mayGoOn))
                return ended
              }).pipe(Effect.provide(layer))

            assert.deepStrictEqual(yield* ends(() => {}), [true])
            // Nothing tells it from a write whose time of modification was set back. Times of a file system may stand
            // still for some milliseconds.
            const changed = () => {
              const { ctimeNs } = fs.statSync(file, { bigint: true })
              do fs.chmodSync(file, 0o600)
              while (fs.statSync(file, { bigint: true }).ctimeNs === ctimeNs)
            }
            assert.deepStrictEqual(yield* ends(changed), [false])
            assert.deepStrictEqual(yield* ends(() => fs.utimesSync(file, 1, 2)), [false])
            assert.deepStrictEqual(yield* ends(() => fs.utimesSync(file, 1, 1.000_5)), [false])
            assert.deepStrictEqual(
              yield* ends(() => {
                fs.truncateSync(file, 1)
                fs.utimesSync(file, 1, 1)
              }),
              [false]
            )
          })
      )
    }
  )

  it.live("does not wait for the writer of a FIFO", () =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      const folder = yield* testFolder
      execFileSync("mkfifo", [`${folder}/fifo`])

      const stat = yield* Effect.scoped(
        Effect.flatMap(files.open(FilePath.join(folder, FilePath.make("fifo"))), (_) => _.stat)
      )

      assert.strictEqual(stat.kind, "special")
    }).pipe(Effect.provide(SystemFiles.layer)))

  it.live("knows sizes over 4 GiB and times to the nanosecond", () =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      const folder = yield* testFolder
      const path = `${folder}/sparse`
      fs.closeSync(fs.openSync(path, "w"))
      fs.truncateSync(path, 5 * 2 ** 30)
      execFileSync("touch", ["-d", "@1700000000.123456789", path])

      const stat = yield* files.lstat(FilePath.make(path))

      assert.strictEqual(stat.sizeBytes, 5 * 2 ** 30)
      assert.strictEqual(stat.modifiedNanos, 1_700_000_000_123_456_789n)
    }).pipe(Effect.provide(SystemFiles.layer)))

  it.live("waits for a call that has begun, and closes what it opened", () =>
    Effect.gen(function*() {
      const files = yield* Files.Files
      const folder = yield* testFolder
      const path = FilePath.make(`${folder}/file`)
      const descriptors = () =>
        fs.readdirSync("/proc/self/fd").filter((descriptor) =>
          fs.statSync(`/proc/self/fd/${descriptor}`, { throwIfNoEntry: false })?.ino === inode
        ).length
      fs.writeFileSync(path, "text")
      const inode = fs.statSync(path).ino

      for (let i = 0; i < 50; i++) {
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(files.open(path), Effect.never)), {
          startImmediately: true
        })
        if (i % 2 === 0) yield* Effect.sleep(1)
        yield* Fiber.interrupt(fiber)
      }

      assert.strictEqual(descriptors(), 0)
    }).pipe(Effect.provide(SystemFiles.layer)))

  it.live("waits where more files are open than the process may have", () =>
    Effect.gen(function*() {
      const folder = yield* testFolder
      fs.writeFileSync(`${folder}/file`, "text")
      const program = `
        import * as Files from "@fanout/ops/Files"
        import * as SystemFiles from "@fanout/ops/SystemFiles"
        import * as Effect from "effect/Effect"
        const program = Effect.gen(function*() {
          const files = yield* Files.Files
          const hold = Effect.scoped(Effect.andThen(files.open(${JSON.stringify(`${folder}/file`)}), Effect.sleep(20)))
          yield* Effect.forEach(Array.from({ length: 200 }), () => hold, { concurrency: "unbounded" })
          return yield* files.list(${JSON.stringify(folder)})
        })
        const listing = await Effect.runPromise(Effect.provide(program, SystemFiles.layer))
        process.stdout.write(String(listing.size))`
      const node = `"${process.execPath}" --conditions=@fanout/source --input-type=module`

      const output = execFileSync("sh", ["-c", `ulimit -n 64; exec ${node}`], {
        cwd: import.meta.dirname,
        input: program,
        encoding: "utf8"
      })

      assert.strictEqual(output, "1")
    }))
})
