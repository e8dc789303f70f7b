import { assert, describe, it } from "@effect/vitest"
import { type Calls, code, failed, immediate, isCode } from "@fanout/ops/Calls"
import * as CopyOptions from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Filter from "@fanout/ops/Filter"
import * as Effect from "effect/Effect"
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as path from "node:path"
import * as libc from "../src/internal/files/libcCalls.ts"
import * as node from "../src/internal/files/nodeCalls.ts"
import { now } from "../src/internal/files/routine.ts"
import { removeOwn } from "../src/internal/files/treeRemoval.ts"
import { isUnfinished } from "../src/internal/path/unfinishedFolder.ts"
import * as Conflict from "../src/internal/steps/conflict.ts"
import {
  type CopiedUnit,
  type Filled,
  resultOf,
  type Settled,
  type Unit,
  unsettled
} from "../src/internal/steps/unit.ts"
import { fill, type Limits } from "../src/internal/units/draftFilling.ts"
import { settle } from "../src/internal/units/placement.ts"
import { asNobody } from "./asNobody.ts"
import { testFolder } from "./TestFolder.ts"
import { unitOf } from "./unitOf.ts"

const n = FilePath.make

/** What is below a folder: content of files, where links lead to, and nothing more of folders. */
const treeOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    fs.readdirSync(folder, { recursive: true, withFileTypes: true }).map((entry) => {
      const whole = path.join(entry.parentPath, entry.name)
      const content = entry.isDirectory()
        ? "folder"
        : entry.isSymbolicLink()
        ? `to ${fs.readlinkSync(whole)}`
        : fs.readFileSync(whole, "latin1")
      return [path.relative(folder, whole), content]
    })
  )

/** Mode and nanoseconds of what is below a folder. */
const statsOf = (folder: string) =>
  Object.keys(treeOf(folder)).toSorted().map((name) => {
    const { mode, mtimeNs } = fs.lstatSync(path.join(folder, name), { bigint: true })
    return [name, mode, mtimeNs]
  })

const plant = (at: string): void => {
  for (const folder of ["a/b/c", "a/empty", "z"]) fs.mkdirSync(`${at}/${folder}`, { recursive: true })
  for (const name of ["a/1", "a/2", "a/b/3", "a/b/c/4", "z/5"]) fs.writeFileSync(`${at}/${name}`, `content of ${name}`)
  fs.symlinkSync("../1", `${at}/a/b/link`)
  fs.chmodSync(`${at}/a/1`, 0o640)
  fs.chmodSync(`${at}/a/b`, 0o750)
  const folders = ["a/b/c", "a/b", "a/empty", "a", "z"]
  // Times that `node:fs` can set.
  for (const name of [...Object.keys(treeOf(at)).filter((name) => !folders.includes(name)), ...folders]) {
    fs.lutimesSync(`${at}/${name}`, 1e9, 1e9 + name.length)
  }
}

const isRoot = process.getuid?.() === 0

/** Gives some folders, and what is in them, to others. */
const giveAway = (at: string): void => {
  for (const name of ["a/b", "a/b/3", "a/b/link", "a/empty"]) fs.lchownSync(`${at}/${name}`, 1234, 2345)
}

/** Owner and group of what is below a folder. */
const ownersOf = (at: string): Record<string, ReadonlyArray<number>> =>
  Object.fromEntries(
    Object.keys(treeOf(at)).map((name) => {
      const { gid, uid } = fs.lstatSync(path.join(at, name))
      return [name, [uid, gid]]
    })
  )

const draft = n(".tmp")

/** How much there is in the folders that are planted. */
const planted = [13, 3]

const owners = [...CopyOptions.usual, "owner"] as const

/** How it is done, beside what a unit says: how often it may be asked whether it goes on, and who owns the job. */
interface How extends Partial<Omit<Unit, "draft" | "names" | "source" | "target">> {
  readonly names?: ReadonlyArray<string>
  readonly most?: number
  readonly mayPublish?: boolean
  readonly isLeftover?: Limits["isLeftover"]
}

const foldersOf = (at: string, how: How): Unit => {
  const { isLeftover: _, mayPublish: __, most: ___, names = ["a", "z"], ...more } = how
  const [source, target] = [`${at}/from`, `${at}/to`]
  return unitOf({ source, target, draft, names, areFolders: true, sizes: planted, conflict: "error", ...more })
}

const fillUnit = (calls: Calls, unit: Unit, { isLeftover, mayPublish = true, most = Infinity }: How = {}): Filled => {
  let asked = 0
  const mayGoOn = () => asked++ < most
  return now(fill, calls, unit, { mayBegin: mayGoOn, mayGoOn, mayPublish: () => mayPublish, isLeftover })
}

/** Places one after the other, as where each time is over at once. */
const settleUnit = (
  calls: Calls,
  unit: Unit,
  filled: Filled,
  { mayPublish = true }: How = {},
  dropped: ReadonlyArray<number> = []
): Settled => {
  let settled = unsettled
  const limits = { mayGoOn: () => false, mayPublish: () => mayPublish }
  do settled = now(settle, calls, unit, { ...filled, dropped }, limits, settled)
  while (settled.through < filled.placements.length)
  return settled
}

const removeDraft = (at: string): void => {
  const target = node.calls.openPath(n(`${at}/to`), "folder").now()
  if (typeof target !== "number") throw new Error(target.name)
  now(removeOwn, node.calls, target, draft, (stat) => isUnfinished(stat, node.calls.user()))
  node.calls.closeNow(target)
}

/** What a unit comes to, with the owners that were lost. */
const copyAll = (calls: Calls, at: string, how: How = {}) => {
  const unit = foldersOf(at, how)
  const filled = fillUnit(calls, unit, how)
  const settled = filled.placements.length === 0 ? unsettled : settleUnit(calls, unit, filled, how)
  // As whoever has had all of this done does in the end.
  removeDraft(at)
  return { ...resultOf(filled, settled), settled }
}

const copy = (calls: Calls, at: string, how: How = {}): CopiedUnit => copyAll(calls, at, how).result

/** What there is more to do, by paths below the target. */
const leftOf = ({ rest }: CopiedUnit) =>
  rest.flatMap(({ folders, names, path }) => [...names, ...folders].map((name) => FilePath.join(path, name)))

/** Folders that are not ended. */
const openOf = ({ rest }: CopiedUnit) => rest.flatMap(({ path }) => path === "" ? [] : [path])

/** All is there. */
const whole = {
  copied: 5,
  linked: 1,
  bytes: 76,
  ended: 5,
  unchanged: 0,
  unchangedDigests: [],
  rest: [],
  skipped: [],
  left: 0,
  fewer: []
}

const nothing = { ...whole, copied: 0, linked: 0, bytes: 0, ended: 0, digests: [] }

const untouched = (...folders: ReadonlyArray<string>) => [
  { path: "", names: [], folders, sizes: folders.map(() => 0) }
]

/** Does something around each call that may wait. */
const around = (inner: Calls, instead: <A>(name: string, call: A) => A): Calls =>
  new Proxy(inner, {
    get: (inner, name) => {
      const call: unknown = Reflect.get(inner, name)
      if (typeof call !== "function" || ["closeNow", "denied", "user"].includes(String(name))) return call
      return (...values: ReadonlyArray<unknown>) => instead(String(name), Reflect.apply(call, inner, values))
    }
  })

/** The call whose turn it is fails. What is closed is closed all the same. */
const failing = (inner: Calls, turn: number) => {
  let left = turn
  let name: string | undefined
  const calls = around(inner, (of, call) => {
    if (left-- !== 0) return call
    name = of
    if (of === "close") Reflect.apply(Reflect.get(Object(call), "now"), call, [])
    return Object(failed(code("EIO")))
  })
  return { calls, failed: () => name }
}

/** Looks before each call is made. */
const watching = (inner: Calls, look: () => void): Calls =>
  around(inner, (_, call) => {
    look()
    return call
  })

/** What is told of a copy is what is there: whole files, and none but those that are not among what is left. */
const checkTold = (
  at: string,
  result: CopiedUnit,
  why: string,
  { before = {}, keepsOwner = false }: { readonly before?: Record<string, string>; readonly keepsOwner?: boolean } = {}
) => {
  assert.deepStrictEqual(result.fewer, [], why)
  const [from, to] = [treeOf(`${at}/from`), treeOf(`${at}/to`)]
  const gone: ReadonlyArray<string> = [...leftOf(result), ...["a", "z"].slice(2 - result.left)]
  const isLeft = (name: string) => gone.some((one) => name === one || name.startsWith(`${one}/`))
  const there = Object.entries(from).filter(([name]) => !isLeft(name))
  assert.deepStrictEqual(to, { ...before, ...Object.fromEntries(there) }, why)
  const contents = there.map(([, content]) => content).filter((content) => content !== "folder")
  const files = contents.filter((content) => !content.startsWith("to "))
  assert.strictEqual(result.copied, files.length, why)
  assert.strictEqual(result.linked, contents.length - files.length, why)
  assert.strictEqual(result.bytes, files.join("").length, why)
  const open = new Set<string>(openOf(result))
  const ended = there.filter(([name, content]) => content === "folder" && !open.has(name))
  assert.strictEqual(result.ended, ended.length, why)
  const names = new Set<unknown>(ended.map(([name]) => name))
  const [wantedStats, foundStats] = ["from", "to"].map((folder) =>
    statsOf(`${at}/${folder}`).filter(([name]) => names.has(name))
  )
  assert.deepStrictEqual(foundStats, wantedStats, why)
  if (!keepsOwner) return
  const [wanted, found] = [ownersOf(`${at}/from`), ownersOf(`${at}/to`)]
  for (const [name] of there.filter(([name]) => !open.has(name))) {
    assert.deepStrictEqual(found[name], wanted[name], `${why}: ${name}`)
  }
}

/** Begins with an empty target. */
const clear = (at: string): void => {
  fs.rmSync(`${at}/to`, { recursive: true, force: true })
  fs.mkdirSync(`${at}/to`)
}

describe.each([["libc", libc.calls], ["node:fs", node.calls]] as const)("a unit by %s", (way, calls) => {
  const isLibc = way === "libc"

  const testAs = (name: string, body: (at: string, skip: () => void) => void, isPossible = true) =>
    it.effect.runIf(isPossible)(name, (context) =>
      Effect.gen(function*() {
        const at = yield* testFolder
        fs.mkdirSync(`${at}/from`)
        fs.mkdirSync(`${at}/to`)
        plant(`${at}/from`)
        body(at, () => context.skip())
      }))

  testAs("of folders is copied with all that is in them, each seen once it is whole", (at) => {
    const seen = new Set<string>()
    const look = () => {
      const names = fs.readdirSync(`${at}/to`).filter((name) => name !== draft)
      seen.add(names.join())
      const stats = statsOf(`${at}/from`).filter(([name]) =>
        names.some((one) => `${String(name)}/`.startsWith(`${one}/`))
      )
      assert.deepStrictEqual(statsOf(`${at}/to`).filter(([name]) => !String(name).startsWith(draft)), stats)
    }
    const unit = foldersOf(at, {})
    const watched = watching(calls, look)
    const filled = fillUnit(watched, unit)
    assert.deepStrictEqual(fs.readdirSync(`${at}/to`), [draft])
    const settled = settleUnit(watched, unit, filled)
    const { result } = resultOf(filled, settled)
    assert.deepStrictEqual<unknown>(result, { ...whole, digests: [] })
    assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
    assert.deepStrictEqual(statsOf(`${at}/to`), statsOf(`${at}/from`))
    assert.deepStrictEqual(Array.from(seen), ["", "a", "a,z"])
  })

  testAs("has files with the modes of their sources, whatever mask there is", (at) => {
    const modes = [0o644, 0o666, 0o644, 0o666, 0o400, 0o1644, 0o1644, 0o777]
    fs.rmSync(`${at}/from/z`, { recursive: true })
    fs.mkdirSync(`${at}/from/z`)
    modes.forEach((mode, index) => {
      fs.writeFileSync(`${at}/from/z/${index}`, "content")
      fs.chmodSync(`${at}/from/z/${index}`, mode)
    })
    copy(calls, at)
    assert.deepStrictEqual(modes.map((_, index) => fs.statSync(`${at}/to/z/${index}`).mode & 0o7777), modes)
  })

  testAs("gives files their set-id bits, and leaves folders that have some", (at) => {
    fs.chmodSync(`${at}/from/a/1`, 0o4755)
    fs.chmodSync(`${at}/from/z`, 0o2755)
    const result = copy(calls, at)
    assert.deepStrictEqual<unknown>(result.rest, untouched("z"))
    assert.strictEqual(fs.statSync(`${at}/to/a/1`).mode & 0o7777, 0o4755)
    checkTold(at, result, "set-id bits")
  })

  testAs("leaves folders that are there and give what is in them another group, or others access", (at) => {
    fs.mkdirSync(`${at}/to/a/b`, { recursive: true })
    fs.mkdirSync(`${at}/to/z`)
    fs.chownSync(`${at}/to/a/b`, 0, 1234)
    fs.chmodSync(`${at}/to/a/b`, 0o2775)
    const z = libc.calls.openPath(n(`${at}/to/z`), "folder").now()
    if (isCode(z)) throw new Error(z.name)
    // Version 2; owner, group and others, each with what it may.
    const list = Uint8Array.from(
      [[2, 0, 0, 0], ...[[1, 7], [4, 5], [32, 0]].map(([tag = 0, may = 0]) => [tag, 0, may, 0, 255, 255, 255, 255])]
        .flat()
    )
    const isListed = !isCode(libc.calls.setAttribute(z, "system.posix_acl_default", list).now())
    libc.calls.closeNow(z)
    const result = copy(calls, at)
    assert.sameMembers(leftOf(result), ["a/b", ...isLibc && isListed ? ["z"] : []])
    assert.deepStrictEqual(fs.readdirSync(`${at}/to/a/b`), [])
  }, isRoot)

  testAs("gets owner and group of its sources, as all that is in it does", (at) => {
    giveAway(`${at}/from`)
    assert.strictEqual(copy(calls, at, { keeps: owners }).ended, 5)
    assert.deepStrictEqual(ownersOf(`${at}/to`), ownersOf(`${at}/from`))
  }, isRoot)

  testAs("gets at least the group where it can't have the owner, and tells that", (at) => {
    giveAway(`${at}/from`)
    fs.chmodSync(`${at}/to`, 0o777)
    const groups = process.getgroups?.() ?? []
    process.setgroups?.([2345])
    const { lost, result } = Effect.runSync(
      asNobody(at, Effect.sync(() => copyAll(calls, at, { keeps: owners })))
    )
    process.setgroups?.(groups)
    assert.deepStrictEqual<unknown>(result, { ...whole, digests: [] })
    assert.deepStrictEqual(lost, { owner: 11 })
    const { uid } = fs.statSync(at)
    const expected = Object.entries(ownersOf(`${at}/from`)).map(([name, [, group]]) => [name, [uid, group]])
    assert.deepStrictEqual(ownersOf(`${at}/to`), Object.fromEntries(expected))
    assert.deepStrictEqual(statsOf(`${at}/to`), statsOf(`${at}/from`))
  }, isRoot)

  const there: Readonly<Record<Conflict.Mode, { readonly one: string; readonly result: Partial<CopiedUnit> }>> = {
    error: {
      one: "mine",
      result: { copied: 3, ended: 3, rest: [{ path: n("a"), names: [n("1")], folders: [], sizes: [] }] }
    },
    rename: {
      one: "mine",
      result: { copied: 3, ended: 3, rest: [{ path: n("a"), names: [n("1")], folders: [], sizes: [] }] }
    },
    skip: { one: "mine", result: { copied: 3, ended: 4, rest: [], skipped: [n("a/1")] } },
    changed: { one: "content of a/1", result: { copied: 4, ended: 4, rest: [], skipped: [] } },
    overwrite: { one: "content of a/1", result: { copied: 4, ended: 4, rest: [], skipped: [] } }
  }

  for (const conflict of Conflict.Mode.literals) {
    testAs(`goes into folders that are there, and leaves what is in these (${conflict})`, (at) => {
      fs.mkdirSync(`${at}/to/a/b`, { recursive: true })
      fs.writeFileSync(`${at}/to/a/1`, "mine")
      fs.writeFileSync(`${at}/to/a/mine`, "")
      fs.writeFileSync(`${at}/to/z`, "no folder")
      const { one, result: expected } = there[conflict]
      const result = copy(calls, at, { conflict })
      assert.deepStrictEqual<unknown>(result.rest, [...expected.rest ?? [], ...untouched("z")])
      assert.deepInclude(result, { ...expected, linked: 1, rest: result.rest })
      const tree = { ...treeOf(`${at}/from`), "a/1": one, "a/mine": "", z: "no folder" }
      Reflect.deleteProperty(tree, "z/5")
      assert.deepStrictEqual(treeOf(`${at}/to`), tree)
    })
  }

  testAs("tells what is the same as its source, and gives folders that are there their modes and times", (at) => {
    copy(calls, at)
    fs.chmodSync(`${at}/to/a/b`, 0o700)
    fs.utimesSync(`${at}/to/a`, 1, 1)
    fs.rmSync(`${at}/to/a/2`)
    const result = copy(calls, at, { conflict: "changed" })
    assert.deepStrictEqual<unknown>(result, {
      ...nothing,
      copied: 1,
      bytes: 14,
      unchanged: 5,
      ended: 5
    })
    assert.deepStrictEqual(statsOf(`${at}/to`), statsOf(`${at}/from`))
  })

  testAs("of files gives each its name once it is whole, and has none of those that are there half", (at) => {
    fs.writeFileSync(`${at}/to/1`, "mine")
    const inA = { source: n(`${at}/from/a`), target: n(`${at}/to`) }
    const unit = { ...foldersOf(at, { names: ["1", "2", "b"], areFolders: false, conflict: "overwrite" }), ...inA }
    const look = () => {
      const one = fs.readFileSync(`${at}/to/1`, "utf8")
      assert.include(["mine", "content of a/1"], one)
      if (fs.existsSync(`${at}/to/2`)) assert.strictEqual(fs.readFileSync(`${at}/to/2`, "utf8"), "content of a/2")
    }
    const watched = watching(calls, look)
    const filled = fillUnit(watched, unit)
    const { result } = resultOf(filled, settleUnit(watched, unit, filled))
    assert.deepStrictEqual<unknown>(result, {
      ...nothing,
      copied: 2,
      bytes: 28,
      rest: [{ path: "", names: ["b"], folders: [], sizes: [] }]
    })
    assert.deepStrictEqual(fs.readdirSync(`${at}/to`), ["1", "2"])
  })

  testAs("leaves folders that are too deep, links, or not there", (at) => {
    fs.mkdirSync(`${at}/from/deep${"/d".repeat(20)}`, { recursive: true })
    fs.symlinkSync("a", `${at}/from/link`)
    const { ended, rest } = copy(calls, at, { names: ["deep", "link", "nothing"] })
    const deep = { path: `deep${"/d".repeat(15)}`, names: [], folders: ["d"], sizes: [10] }
    assert.deepStrictEqual<unknown>(rest, [...untouched("link", "nothing"), deep])
    // What is to come into the last of them changes nothing in those above.
    assert.strictEqual(ended, 15)
  })

  testAs("has nothing seen of what waits for its name, and is there once it has that", (at) => {
    fs.mkdirSync(`${at}/to/z`)
    const unit = foldersOf(at, {})
    const filled = fillUnit(calls, unit)
    assert.deepStrictEqual(fs.readdirSync(`${at}/to`), [draft, "z"])
    assert.deepStrictEqual(fs.readdirSync(`${at}/to/z`), [])
    assert.strictEqual(fs.statSync(`${at}/to/${draft}`).mode & 0o7777, 0o1700)
    assert.deepStrictEqual(fs.readdirSync(`${at}/to/${draft}`), ["0", "1"])
    assert.deepStrictEqual(filled.placements.map(({ copied, name }) => [name, copied.counts.ended]), [[n("a"), 4], [
      n("5"),
      0
    ]])
    assert.deepStrictEqual(filled.endings.map(({ path }) => path), [n("z")])
    const { result } = resultOf(filled, settleUnit(calls, unit, filled))
    assert.deepStrictEqual<unknown>(result, { ...whole, digests: [] })
    assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
    assert.deepStrictEqual(statsOf(`${at}/to`), statsOf(`${at}/from`))
  })

  testAs("is removed where it can't have its names, and counts for nothing", (at) => {
    const unit = foldersOf(at, {})
    const filled = fillUnit(calls, unit)
    fs.writeFileSync(`${at}/to/a`, "of somebody else")
    const { result } = resultOf(filled, settleUnit(calls, unit, filled, {}, [1]))
    assert.deepStrictEqual<unknown>(result, { ...nothing, rest: untouched("a", "z") })
    assert.deepStrictEqual(treeOf(`${at}/to`), { a: "of somebody else" })
  })

  testAs("is left where others have put something in the place of its draft", (at) => {
    const unit = foldersOf(at, {})
    const filled = fillUnit(calls, unit)
    fs.renameSync(`${at}/to/${draft}`, `${at}/ours`)
    fs.mkdirSync(`${at}/to/${draft}`)
    fs.mkdirSync(`${at}/to/${draft}/0`)
    fs.writeFileSync(`${at}/to/${draft}/0/theirs`, "")
    const { result } = resultOf(filled, settleUnit(calls, unit, filled))
    assert.deepStrictEqual<unknown>(result, { ...nothing, rest: untouched("a", "z") })
    assert.deepStrictEqual(Object.keys(treeOf(`${at}/to`)), [draft, `${draft}/0`, `${draft}/0/theirs`])
  })

  const testEach = (how: How, prepare: (at: string) => void, isWhole: boolean) => (at: string) => {
    const failed = new Set<string>()
    if (isRoot) giveAway(`${at}/from`)
    for (let turn = 0;; turn++) {
      clear(at)
      prepare(at)
      const before = treeOf(`${at}/to`)
      const faulty = failing(calls, turn)
      const result = copy(faulty.calls, at, { keeps: owners, ...how })
      const name = faulty.failed()
      if (name === undefined) break
      failed.add(name)
      checkTold(at, result, `${turn}: ${name}`, { before, keepsOwner: isRoot })
    }
    const every = ["open", "openPath", "list", "stat", "lstat", "makeFolder", "createAs", "write", "close", "setTimes"]
    for (const name of [...every, "makeLink", "setOwnerAt", "setTimesAt", isLibc ? "renameExclusively" : "rename"]) {
      if (isWhole) assert.isTrue(failed.has(name), `${name} of ${Array.from(failed).join()}`)
    }
  }

  testAs("is whole, or told to be left, whichever call fails", testEach({}, () => {}, true))
  testAs(
    "is whole, or told to be left, whichever call fails, where it is compared",
    testEach({ isVerified: true }, () => {}, true)
  )
  testAs(
    "is whole, or told to be left, whichever call fails, in folders that are there",
    testEach({}, (at) => fs.mkdirSync(`${at}/to/a/b`, { recursive: true }), false)
  )

  testAs("is whole, or told to be left, whenever it has to stop", (at) => {
    for (let most = 0; most < 40; most++) {
      clear(at)
      const result = copy(calls, at, { most })
      checkTold(at, result, `after ${most}`)
      // What was not come to is nothing that could not be done.
      assert.deepStrictEqual(result.rest.filter(({ path }) => path === ""), [])
      if (most === 0) assert.strictEqual(result.left, 1)
    }
  })

  testAs("is left once so much is copied", (at) => {
    const result = copy(calls, at, { mostBytes: 20 })
    assert.strictEqual(result.left, 1)
    assert.strictEqual(result.copied, 2)
    checkTold(at, result, "most bytes")
  })

  testAs("tells how much less is in it than there was, also in what is left of it", (at) => {
    fs.rmSync(`${at}/from/a/1`)
    assert.deepStrictEqual(copy(calls, at).fewer, [{ path: n("a"), count: 1 }])
    fs.rmSync(`${at}/from/a/b/c`, { recursive: true })
    for (let most = 0; most < 40; most++) {
      clear(at)
      const { fewer, rest } = copy(calls, at, { most })
      assert.deepStrictEqual(fewer, [{ path: n("a"), count: 4 }], `after ${most}`)
      const sizes = rest.flatMap(({ folders, sizes }) => folders.map((name, index) => [name, sizes[index]] as const))
      for (const [name, size] of sizes) assert.strictEqual(size, name === "b" ? 4 : 2)
    }
    fs.writeFileSync(`${at}/from/a/more`, "")
    // As much came as went, and nobody knows how much there was.
    assert.deepStrictEqual(copy(calls, at, { sizes: [10, 0] }).fewer, [])
  })

  testAs("says nothing of what is less where some of it can't be seen", (at) => {
    const hidden: Calls = {
      ...calls,
      open: (folder, name, mode) => name === "c" ? failed(code("EIO")) : calls.open(folder, name, mode)
    }
    const { fewer, rest } = copy(hidden, at, { sizes: [99, 99] })
    assert.deepStrictEqual(fewer, [{ path: n("z"), count: 96 }])
    assert.deepStrictEqual<unknown>(rest, [{ path: "a/b", names: [], folders: ["c"], sizes: [0] }])
  })

  testAs("gets no name, and leaves nothing, once the job is somebody else's", (at) => {
    assert.deepStrictEqual<unknown>(copy(calls, at, { mayPublish: false }), { ...nothing, rest: untouched("a", "z") })
    assert.deepStrictEqual(treeOf(`${at}/to`), {})
  })

  testAs("leaves folders that are there as they are once the job is somebody else's", (at) => {
    fs.mkdirSync(`${at}/to/a/empty`, { recursive: true })
    fs.mkdirSync(`${at}/to/a/b/c`, { recursive: true })
    fs.mkdirSync(`${at}/to/z`)
    const before = statsOf(`${at}/to`)
    assert.strictEqual(copy(calls, at, { mayPublish: false }).ended, 0)
    assert.deepStrictEqual(statsOf(`${at}/to`), before)
  })

  testAs("is copied without what is left out, which is not counted either", (at) => {
    const rules = ["/a/b/c/", "/a/b/3"].map((rule) => Filter.Rule.make(rule))
    for (let most = 0; most < 40; most++) {
      clear(at)
      const { fewer, rest } = copy(calls, at, { most, rules, sizes: [9, 3] })
      assert.deepStrictEqual(fewer, [])
      const sizes = rest.flatMap(({ folders, sizes }) => folders.map((name, index) => [name, sizes[index]] as const))
      for (const [name, size] of sizes) assert.strictEqual(size, name === "b" ? 3 : 2)
      const names = new Set<string>(rest.flatMap(({ folders, names }) => folders.concat(names)))
      assert.isFalse(names.has("c") || names.has("3"))
      assert.isFalse(fs.existsSync(`${at}/to/a/b/c`) || fs.existsSync(`${at}/to/a/b/3`))
    }
    assert.sameMembers(Object.keys(treeOf(`${at}/to`)), ["a", "a/1", "a/2", "a/b", "a/b/link", "a/empty", "z", "z/5"])
  })

  testAs("is left where what has a name keeps it, but for what goes into others (needs chattr)", (at, skip) => {
    fs.mkdirSync(`${at}/to/a/b`, { recursive: true })
    const stuck = (folder: string) => {
      if (spawnSync("chattr", ["+a", folder]).status !== 0) return skip()
      const result = copy(calls, at)
      spawnSync("chattr", ["-a", folder])
      return result
    }
    // A draft could not be removed.
    assert.deepInclude(stuck(`${at}/to`), { copied: 0, linked: 0, ended: 0 })
    assert.deepStrictEqual(treeOf(`${at}/to`), { a: "folder", "a/b": "folder" })
    const result = stuck(`${at}/to/a`)
    // Nobody may set the times of such a folder either.
    assert.deepInclude(result, { copied: 5, linked: 1, ended: 4 })
    assert.deepStrictEqual<unknown>(result?.rest, [{ path: "a", names: [], folders: [], sizes: [] }])
    assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
  }, isRoot && isLibc)

  testAs("is made where what is made gets the group of its folder", (at) => {
    fs.chmodSync(`${at}/from`, 0o755)
    const group = 4242
    // As somebody who is not of this group, and may not set the bit that says so.
    const copies = Effect.sync(() => {
      for (let most = 0; most < 40; most++) {
        clear(at)
        process.seteuid?.(0)
        fs.chownSync(`${at}/to`, 0, group)
        fs.chmodSync(`${at}/to`, 0o2777)
        process.seteuid?.(65_534)
        // What is left is made later.
        for (const path of openOf(copy(calls, at, { most }))) {
          assert.strictEqual(fs.lstatSync(`${at}/to/${path}`).mode & 0o2000, 0o2000, `${path} after ${most}`)
        }
        for (const name of Object.keys(treeOf(`${at}/to`))) {
          assert.strictEqual(fs.lstatSync(`${at}/to/${name}`).gid, group, `${name} after ${most}`)
        }
      }
    })
    Effect.runSync(asNobody(at, copies))
  }, isRoot)

  testAs("begins anew where an attempt before this one has left its draft, whatever group that has", (at) => {
    for (const mode of [0o1700, 0o3700]) {
      fs.mkdirSync(`${at}/to/${draft}/0/b`, { recursive: true })
      fs.writeFileSync(`${at}/to/${draft}/0/b/3`, "half")
      fs.chmodSync(`${at}/to/${draft}`, mode)
      assert.deepStrictEqual(copy(calls, at).rest, [])
      assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
      clear(at)
    }
    // It may have had no time to give it its mode.
    fs.mkdirSync(`${at}/to/${draft}`)
    assert.deepStrictEqual(copy(calls, at).rest, [])
  })

  testAs("takes away what former attempts have left in folders that are there", (at) => {
    fs.mkdirSync(`${at}/to/a/.old-1/b`, { recursive: true })
    fs.writeFileSync(`${at}/to/a/.old-1/b/3`, "half")
    fs.chmodSync(`${at}/to/a/.old-1`, 0o1700)
    fs.writeFileSync(`${at}/to/a/.old-2`, "half")
    fs.writeFileSync(`${at}/to/a/.new`, "half")
    const isLeftover = (name: string) => name.startsWith(".old-")
    const copyTo = (mayPublish: boolean) => copy(calls, at, { mayPublish, isLeftover, names: ["a"], sizes: [13] })
    // Whoever owns the job no more takes nothing away.
    copyTo(false)
    assert.deepStrictEqual(fs.readdirSync(`${at}/to/a`).filter((name) => isLeftover(name)), [".old-1", ".old-2"])
    copyTo(true)
    assert.deepStrictEqual(fs.readdirSync(`${at}/to/a`).filter((name) => name.startsWith(".")), [".new"])
  })

  testAs("is told once where what is in it can neither be closed nor removed", (at) => {
    const stuck: Calls = {
      ...calls,
      close: (descriptor) => {
        calls.closeNow(descriptor)
        return failed(code("EIO"))
      },
      unlink: () => failed(code("EIO"))
    }
    // One that nobody sees gets no name with such a thing in it.
    assert.deepStrictEqual<unknown>(copy(stuck, at, { names: ["z"] }).rest, untouched("z"))
    assert.isFalse(fs.existsSync(`${at}/to/z`))
    fs.mkdirSync(`${at}/to/z`)
    const { ended, rest } = copy(stuck, at, { names: ["z"] })
    assert.deepStrictEqual<unknown>({ ended, rest }, {
      ended: 0,
      rest: [{ path: "z", names: ["5"], folders: [], sizes: [] }]
    })
    assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder" })
  })

  testAs("gets no name with a link in it that could neither be made as it is to be nor removed", (at) => {
    const stuck: Calls = {
      ...calls,
      setTimesAt: () => failed(code("EIO")),
      unlink: () => failed(code("EIO"))
    }
    assert.deepStrictEqual<unknown>(copy(stuck, at, { names: ["a"] }).rest, untouched("a"))
    assert.isFalse(fs.existsSync(`${at}/to/a`))
  })

  testAs("has no half of a file where less is written than there is", (at) => {
    for (const most of [0, 3]) {
      clear(at)
      let writes = 0
      const short: Calls = {
        ...calls,
        write: (file, bytes, place) => {
          if (++writes > 100) throw new Error("it is written for ever")
          return most === 0 ? immediate(() => 0) : calls.write(file, bytes.subarray(0, most), place)
        }
      }
      const { rest } = copy(short, at, { names: ["z"] })
      assert.deepStrictEqual<unknown>(rest, [{ path: "z", names: ["5"], folders: [], sizes: [] }])
      assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder" })
    }
  })

  testAs("leaves a file that is written to, and asks between pieces of one", (at) => {
    const writing: Calls = {
      ...calls,
      createAs: (folder, name, mode) => {
        if (name === "5") fs.appendFileSync(`${at}/from/z/5`, Buffer.alloc(4 * 2 ** 18))
        return calls.createAs(folder, name, mode)
      }
    }
    const left = [{ path: "z", names: ["5"], folders: [], sizes: [] }]
    assert.deepStrictEqual<unknown>(copy(writing, at, { names: ["z"] }).rest, left)
    assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder" })
    for (const most of [2, 3, 4]) {
      clear(at)
      assert.deepStrictEqual<unknown>(copy(calls, at, { names: ["z"], most }).rest, left)
      assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder" })
    }
    clear(at)
    assert.deepStrictEqual(copy(calls, at, { names: ["z"] }).rest, [])
    assert.strictEqual(treeOf(`${at}/to`)["z/5"], treeOf(`${at}/from`)["z/5"])
  })

  testAs("leaves a file that is another one by the time it is opened, however alike", (at) => {
    fs.writeFileSync(`${at}/other`, "content of b/6")
    for (const name of ["from/z/5", "other"]) fs.utimesSync(`${at}/${name}`, 1e9, 1e9)
    const swapped: Calls = {
      ...calls,
      open: (folder, name, mode) => {
        if (name === "5" && mode === "read") fs.renameSync(`${at}/other`, `${at}/from/z/5`)
        return calls.open(folder, name, mode)
      }
    }
    const { rest } = copy(swapped, at, { names: ["z"] })
    assert.deepStrictEqual<unknown>(rest, [{ path: "z", names: ["5"], folders: [], sizes: [] }])
    assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder" })
  })

  testAs("tells folders from files where the file system does not say what is what", (at) => {
    const blind: Calls = { ...calls, list: (folder, add) => calls.list(folder, (name) => add(name, "unknown")) }
    assert.deepStrictEqual<unknown>(copy(blind, at), { ...whole, digests: [] })
    assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
  })

  testAs("is taken back, and gets its names, where nobody may write in its folders any more", (at) => {
    const modes = [["a/b/c", 0o555], ["a/b", 0o555], ["a", 0o500], ["z", 0o055]] as const
    for (const [name, mode] of modes) fs.chmodSync(`${at}/from/${name}`, mode)
    const copyAs = (mayPublish: boolean) => {
      fs.rmdirSync(`${at}/to`)
      fs.mkdirSync(`${at}/to`)
      return copy(calls, at, { mayPublish })
    }
    const copies = Effect.sync(() => {
      for (const folder of ["from", "from/a", "from/a/b", "from/a/b/c", "from/a/1"]) {
        process.seteuid?.(0)
        fs.chownSync(`${at}/${folder}`, 65_534, 65_534)
        process.seteuid?.(65_534)
      }
      assert.deepStrictEqual<unknown>(copyAs(false), { ...nothing, rest: untouched("z", "a") })
      // Who may not look into it could not take it back.
      const result = copyAs(true)
      assert.deepStrictEqual<unknown>([result.ended, result.rest], [4, untouched("z")])
      assert.deepStrictEqual(fs.readdirSync(`${at}/to`), ["a"])
    })
    Effect.runSync(asNobody(at, copies))
    const statsIn = (folder: string) => statsOf(folder).filter(([name]) => String(name).startsWith("a"))
    assert.deepStrictEqual(statsIn(`${at}/to`), statsIn(`${at}/from`))
    fs.chmodSync(`${at}/from/z`, 0o755)
  }, isRoot)

  testAs("leaves what somebody puts in the place of a draft that was just made", (at) => {
    for (const [mode, owner] of [[0o755, 0], [0o700, 0], [0o1700, 1234]] as const) {
      clear(at)
      fs.mkdirSync(`${at}/to/theirs`)
      fs.writeFileSync(`${at}/to/theirs/file`, "precious")
      if (isRoot) fs.chownSync(`${at}/to/theirs`, owner, owner)
      fs.chmodSync(`${at}/to/theirs`, isRoot ? mode : 0o755)
      const swapped: Calls = {
        ...calls,
        makeFolder: (folder, name, mode) =>
          immediate(() => {
            const made = calls.makeFolder(folder, name, mode).now()
            if (name === draft && fs.existsSync(`${at}/to/theirs`)) {
              fs.rmdirSync(`${at}/to/${name}`)
              fs.renameSync(`${at}/to/theirs`, `${at}/to/${name}`)
            }
            return made
          })
      }
      assert.deepStrictEqual<unknown>(copy(swapped, at, { names: ["z"] }).rest, untouched("z"))
      assert.deepStrictEqual(treeOf(`${at}/to`), { [draft]: "folder", [`${draft}/file`]: "precious" })
      assert.strictEqual(fs.lstatSync(`${at}/to/${draft}`).mode & 0o7777, isRoot ? mode : 0o755)
    }
  })

  testAs("leaves what others have given the name of what an attempt has left", (at) => {
    for (const [mode, owner] of [[0o700, 0], [0o1700, 1234]] as const) {
      clear(at)
      fs.mkdirSync(`${at}/to/${draft}/inner`, { recursive: true })
      fs.writeFileSync(`${at}/to/${draft}/inner/file`, "precious")
      if (isRoot) fs.chownSync(`${at}/to/${draft}`, owner, owner)
      fs.chmodSync(`${at}/to/${draft}`, isRoot ? mode : 0o700)
      const before = treeOf(`${at}/to`)
      assert.deepStrictEqual<unknown>(copy(calls, at).rest, untouched("a", "z"))
      assert.deepStrictEqual(treeOf(`${at}/to`), before)

      fs.renameSync(`${at}/to`, `${at}/a`)
      fs.mkdirSync(`${at}/to`)
      fs.renameSync(`${at}/a`, `${at}/to/a`)
      // Those in a folder that is filled stay, too, and it is ended by who knows.
      const result = copy(calls, at, { names: ["a"], isLeftover: (name) => name.startsWith(".tmp") })
      assert.deepStrictEqual(openOf(result), [n("a")])
      assert.include(treeOf(`${at}/to/a`), before)
    }
  })

  testAs("compares what it has copied, and leaves what is not the same", (at) => {
    const first = copyAll(calls, at, { isVerified: true })
    assert.deepStrictEqual<unknown>(first.result, { ...whole, digests: [] })
    assert.strictEqual(first.settled.verified, 5)
    clear(at)
    const unit = foldersOf(at, { isVerified: true })
    const filled = fillUnit(calls, unit)
    const copied = `${at}/to/${draft}/0/b/3`
    const { atime, mtime } = fs.statSync(copied)
    fs.writeFileSync(copied, "CONTENT OF A/B/3")
    fs.utimesSync(copied, atime, mtime)
    const { result } = resultOf(filled, settleUnit(calls, unit, filled))
    assert.deepStrictEqual<unknown>(result.rest, untouched("a"))
    assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder", "z/5": "content of z/5" })
  })

  testAs("tells checksums of files by the folders that these are in, also of holes", (at) => {
    fs.truncateSync(`${at}/from/a/2`, 2 ** 20)
    const digestOf = (name: string) => createHash("sha256").update(fs.readFileSync(`${at}/from/${name}`)).digest("hex")
    const { digests } = copy(calls, at, { checksums: "sha256" })
    const told = digests.flatMap(({ digests, names, path }) =>
      names.map((name, index) => [FilePath.join(path, name), digests[index]])
    )
    const files = ["a/1", "a/2", "a/b/3", "a/b/c/4", "z/5"]
    assert.sameDeepMembers(told, files.map((name) => [n(name), digestOf(name)]))
    assert.strictEqual(treeOf(`${at}/to`)["a/2"], treeOf(`${at}/from`)["a/2"])
  })

  /** What this attribute of something is. */
  const attributeOf = (of: string, name: string): string | undefined => {
    const opened = libc.calls.openPath(n(of), "read").now()
    if (typeof opened !== "number") throw new Error(`${of}: ${opened.name}`)
    const value = libc.calls.getAttribute(opened, name).now()
    libc.calls.closeNow(opened)
    return isCode(value) ? undefined : Buffer.from(value).toString("hex")
  }

  const setAttribute = (of: string, name: string, value: Uint8Array): boolean => {
    const opened = libc.calls.openPath(n(of), "read").now()
    if (typeof opened !== "number") throw new Error(`${of}: ${opened.name}`)
    const set = libc.calls.setAttribute(opened, name, value).now()
    libc.calls.closeNow(opened)
    return !isCode(set)
  }

  testAs("keeps attributes of files, and leaves folders that have some (needs user attributes)", (at, skip) => {
    const value = Buffer.from("some")
    if (!["a/1", "z"].every((name) => setAttribute(`${at}/from/${name}`, "user.test", value))) return skip()
    const result = copy(calls, at, { keeps: [...CopyOptions.usual, "xattr"] })
    assert.deepStrictEqual<unknown>(result.rest, untouched("z"))
    assert.strictEqual(attributeOf(`${at}/to/a/1`, "user.test"), value.toString("hex"))
    assert.strictEqual(copy(calls, at, { names: ["z"] }).ended, 1)
    assert.isUndefined(attributeOf(`${at}/to/z`, "user.test"))
  }, isLibc)

  testAs("has the lists for access that whatever is made in the target has (needs ACLs)", (at, skip) => {
    const entries = [[1, 7, -1], [2, 7, 4321], [4, 5, -1], [16, 7, -1], [32, 5, -1]] as const
    const list = Buffer.alloc(4 + 8 * entries.length)
    list.writeUInt32LE(2, 0)
    for (const [index, [tag, permissions, id]] of entries.entries()) {
      list.writeUInt16LE(tag, 4 + 8 * index)
      list.writeUInt16LE(permissions, 6 + 8 * index)
      list.writeInt32LE(id, 8 + 8 * index)
    }
    const [access, inherited] = ["system.posix_acl_access", "system.posix_acl_default"] as const
    fs.mkdirSync(`${at}/each`)
    if (![`${at}/each`, `${at}/to`].every((folder) => setAttribute(folder, inherited, list))) return skip()
    for (const name of ["a", "a/b"]) fs.mkdirSync(`${at}/each/${name}`, 0o700)
    for (const name of ["a/1", "a/b/3"]) fs.writeFileSync(`${at}/each/${name}`, "", { mode: 0o600 })
    const names = ["a", "a/1", "a/b", "a/b/3"]
    for (const name of names) fs.chmodSync(`${at}/each/${name}`, fs.statSync(`${at}/from/${name}`).mode)
    assert.deepStrictEqual<unknown>(copy(calls, at), { ...whole, digests: [] })
    assert.isDefined(attributeOf(`${at}/to/a`, access))
    for (const name of names) {
      for (const attribute of [access, inherited]) {
        const [found, wanted] = ["to", "each"].map((folder) => attributeOf(`${at}/${folder}/${name}`, attribute))
        assert.strictEqual(found, wanted, `${attribute} of ${name}`)
      }
    }
    assert.deepStrictEqual(statsOf(`${at}/to`), statsOf(`${at}/from`))
  })
})
