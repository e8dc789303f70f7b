import { assert, describe, it } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import type * as Files from "@fanout/ops/Files"
import * as Filter from "@fanout/ops/Filter"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { withFolders } from "../src/internal/calls/copyFolders.ts"
import * as koffi from "../src/internal/calls/koffiCalls.ts"
import * as node from "../src/internal/calls/nodeCalls.ts"
import type { SystemCalls } from "../src/internal/calls/systemCalls.ts"
import { asNobody } from "./asNobody.ts"
import { copierOf } from "./copier.ts"
import { testFolder } from "./TestFolder.ts"

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
  for (const name of ["a/b/c/4", "a/b/c", "a/b", "a/empty", "a"]) fs.utimesSync(`${at}/${name}`, 1e9, 1e9 + name.length)
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

/** Copies all that is asked for, and counts it. What was not copied is what `rest` says. */
class Copier implements Files.FoldersCopier {
  copied = 0
  isSpoiled = false
  asked = 0
  readonly seen: Array<ReadonlyArray<string>> = []
  readonly isAttributeKept = () => false
  isLeftOut = Filter.none
  keepsOwner = false
  ownersLost = 0
  hold: Files.FoldersCopier["hold"] = undefined
  readonly held: Array<{ readonly folder: Files.HeldFolder; readonly copied: number }> = []
  private marked = 0
  readonly ownerLost = (): void => void this.ownersLost++
  readonly isLeftover: ((name: string) => boolean) | undefined
  readonly mayPublish: () => boolean
  private readonly target: string
  private readonly most: number

  constructor(
    target: string,
    most = Number.POSITIVE_INFINITY,
    mayPublish = true,
    isLeftover?: (name: string) => boolean
  ) {
    this.isLeftover = isLeftover
    this.target = target
    this.most = most
    this.mayPublish = () => mayPublish
  }

  readonly mayGoOn = (): boolean => this.asked++ < this.most

  readonly temporaryName = (path: FilePath.FilePath): FilePath.FilePath => n(`.tmp-${path.replaceAll("/", "-")}`)

  /** Has new folders wait for their names. */
  holds(): this {
    this.hold = (folder) => void this.held.push({ folder, copied: this.copied - this.marked })
    return this
  }

  mark(): () => void {
    const { copied } = this
    this.marked = copied
    return () => {
      this.copied = copied
    }
  }

  files(names: ReadonlyArray<FilePath.FilePath>, isOwn: boolean) {
    const left: Array<FilePath.FilePath> = []
    let count = 0
    const leave = (): void => {
      left.push(...names.slice(count, ++count))
    }
    const copier = copierOf({
      isOwn,
      keepsOwner: this.keepsOwner,
      ownerLost: this.ownerLost,
      mayGoOn: this.mayGoOn,
      begin: ({ kind }) => {
        this.seen.push(fs.readdirSync(this.target))
        return kind === "file" || kind === "link"
      },
      found: () => {
        leave()
        return undefined
      },
      leave,
      copied: () => {
        this.copied++
        count++
      },
      fail: leave,
      spoiled: () => {
        this.isSpoiled = true
      }
    })
    return { copier, rest: () => [...left, ...names.slice(count)] }
  }
}

/** How much there is in the folders that are planted. */
const planted = [13, 3]

const copy = (
  calls: SystemCalls,
  at: string,
  copier: Copier,
  names = ["a", "z"],
  sizes: ReadonlyArray<number> = planted
): Files.FoldersCopied => {
  let found: Files.FoldersCopied | undefined
  const request = { source: n(`${at}/from`), target: n(`${at}/to`), names: names.map(n), sizes, copier }
  calls.copyFolders?.(request, (_, copied) => {
    found = copied
  })
  if (found === undefined) throw new Error("not answered at once")
  return found
}

/** Copies, and gives those that are held their names. */
const copyAndPlace = (calls: SystemCalls, at: string, copier: Copier): Files.FoldersCopied => {
  const copied = copy(calls, at, copier)
  const held = copier.held.map(({ folder }) => folder)
  let placed: Files.PlacedFolders | undefined
  calls.placeFolders?.({ target: n(`${at}/to`), held, copier }, (_, how) => {
    placed = how
  })
  // Then whoever held them removes them.
  if (placed === undefined) {
    for (const { temporary } of held) {
      fs.rmSync(`${at}/to/${temporary}`, { recursive: true })
    }
  }
  const untouched = Array.from(copied.untouched)
  const rest = Array.from(copied.rest)
  let ended = 0
  for (const [index, { copied, folder: { below, name, source } }] of copier.held.entries()) {
    const how = placed?.[index] ?? "removed"
    if (how === "removed") {
      untouched.push(name)
      copier.copied -= copied
      continue
    }
    rest.push(...below.rest)
    ended += below.ended + (how === "ended" ? 1 : 0)
    if (how === "placed" && source !== undefined) rest.push({ path: name, names: [], folders: [], sizes: [] })
  }
  return { ...copied, ended, rest, untouched }
}

/** The call whose turn it is fails, unless it closes something. */
const failing = (inner: SystemCalls, turn: number) => {
  let left = turn
  let failed: string | undefined
  const calls = new Proxy(inner, {
    get: (inner, name) => {
      const call: unknown = name === "copyPlain" ? undefined : Reflect.get(inner, name)
      if (typeof call !== "function" || name === "close" || name === "closeFolder") return call
      return (...values: ReadonlyArray<unknown>) => {
        const done = values.at(-1)
        if (left-- !== 0 || typeof done !== "function") return Reflect.apply(call, inner, values)
        failed = String(name)
        return Reflect.apply(done, undefined, ["EIO"])
      }
    }
  })
  return { calls: withFolders(calls), failed: () => failed }
}

/** What is told of a copy is what is there: whole files, and none but those that are not among what is left. */
const checkTold = (at: string, { fewer, left, rest, untouched }: Files.FoldersCopied, copier: Copier, why: string) => {
  assert.deepStrictEqual(fewer, [], why)
  const [from, to] = [treeOf(`${at}/from`), treeOf(`${at}/to`)]
  const gone = [
    ...untouched,
    ...["a", "z"].slice(2 - left),
    ...rest.flatMap(({ folders, names, path }) => [...names, ...folders].map((name) => `${path}/${name}`))
  ]
  const isLeft = (name: string) => gone.some((one) => name === one || name.startsWith(`${one}/`))
  const expected = Object.fromEntries(Object.entries(from).filter(([name]) => !isLeft(name)))
  assert.deepStrictEqual(to, expected, why)
  assert.strictEqual(copier.copied, Object.values(expected).filter((content) => content !== "folder").length, why)
  if (!copier.keepsOwner) return
  const owners = ownersOf(`${at}/from`)
  const ended = Object.entries(ownersOf(`${at}/to`)).filter(([name]) => rest.every(({ path }) => path !== name))
  for (const [name, owner] of ended) assert.deepStrictEqual(owner, owners[name], `${why}: ${name}`)
}

describe.each([["koffi", koffi.calls.atOnce], ["node:fs", node.calls.atOnce]] as const)("folders by %s", (_, calls) => {
  const test = (name: string, body: (at: string) => void, isPossible = true) =>
    it.effect.runIf(isPossible)(name, () =>
      Effect.gen(function*() {
        const at = yield* testFolder
        fs.mkdirSync(`${at}/from`)
        fs.mkdirSync(`${at}/to`)
        plant(`${at}/from`)
        body(at)
      }))

  const mayLink = calls.copyPlain !== undefined

  if (mayLink) {
    test("are full of files with the modes of their sources, whatever mask there is", (at) => {
      const modes = [0o644, 0o666, 0o644, 0o666, 0o400, 0o1644, 0o1644, 0o777]
      fs.rmSync(`${at}/from/z`, { recursive: true })
      fs.mkdirSync(`${at}/from/z`)
      modes.forEach((mode, index) => {
        fs.writeFileSync(`${at}/from/z/${index}`, "content")
        fs.chmodSync(`${at}/from/z/${index}`, mode)
      })
      copy(calls, at, new Copier(`${at}/to`))
      assert.deepStrictEqual(modes.map((_, index) => fs.statSync(`${at}/to/z/${index}`).mode & 0o7777), modes)
    })
  }

  test("are copied with all that is in them, and seen once they are whole", (at) => {
    const copier = new Copier(`${at}/to`)
    assert.deepStrictEqual(copy(calls, at, copier), { ended: 5, rest: [], untouched: [], left: 0, fewer: [] })
    assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
    if (mayLink) assert.deepStrictEqual(statsOf(`${at}/to`), statsOf(`${at}/from`))
    assert.strictEqual(copier.copied, 6)
    const seen = new Set(copier.seen.map((names) => names.join()))
    assert.deepStrictEqual(seen, new Set([".tmp-a", ".tmp-z,a"]))
  })

  test("get owner and group of their sources, as all that is in them does", (at) => {
    giveAway(`${at}/from`)
    const copier = new Copier(`${at}/to`)
    copier.keepsOwner = true
    assert.strictEqual(copy(calls, at, copier).ended, 5)
    assert.deepStrictEqual(ownersOf(`${at}/to`), ownersOf(`${at}/from`))
  }, isRoot)

  it.effect.runIf(isRoot && mayLink)(
    "get at least the group where they can't have the owner, and tell that",
    () =>
      Effect.gen(function*() {
        const at = yield* testFolder
        for (const name of ["from", "to"]) fs.mkdirSync(`${at}/${name}`)
        plant(`${at}/from`)
        giveAway(`${at}/from`)
        fs.chmodSync(`${at}/to`, 0o777)
        const copier = new Copier(`${at}/to`)
        copier.keepsOwner = true
        const groups = process.getgroups?.() ?? []
        process.setgroups?.([2345])
        const copied = yield* asNobody(at, Effect.sync(() => copy(calls, at, copier)))
        process.setgroups?.(groups)
        assert.deepStrictEqual(copied, { ended: 5, rest: [], untouched: [], left: 0, fewer: [] })
        assert.deepStrictEqual([copier.copied, copier.ownersLost], [6, 11])
        const { uid } = fs.statSync(at)
        const owners = Object.entries(ownersOf(`${at}/from`)).map(([name, [, group]]) => [name, [uid, group]])
        assert.deepStrictEqual(ownersOf(`${at}/to`), Object.fromEntries(owners))
        assert.deepStrictEqual(statsOf(`${at}/to`), statsOf(`${at}/from`))
      })
  )

  test("go into those that are there, and leave what is in these", (at) => {
    fs.mkdirSync(`${at}/to/a/b`, { recursive: true })
    fs.writeFileSync(`${at}/to/a/1`, "mine")
    fs.writeFileSync(`${at}/to/a/mine`, "")
    fs.writeFileSync(`${at}/to/z`, "no folder")
    const { ended, rest, untouched } = copy(calls, at, new Copier(`${at}/to`))
    assert.deepStrictEqual(untouched, [n("z")])
    // Through `node:fs` a file gets no name that may be taken.
    const below = { path: n("a/b"), names: [n("3")], folders: [], sizes: [] }
    const expectedRest = mayLink
      ? [{ path: n("a"), names: [n("1")], folders: [], sizes: [] }]
      : [below, { path: n("a"), names: [n("1"), n("2")], folders: [], sizes: [] }]
    assert.deepStrictEqual(Array.from(rest), expectedRest)
    assert.strictEqual(ended, mayLink ? 3 : 2)
    const expected = { ...treeOf(`${at}/from`), "a/1": "mine", "a/mine": "", z: "no folder" }
    for (const name of ["z/5", ...mayLink ? [] : ["a/2", "a/b/3"]]) Reflect.deleteProperty(expected, name)
    assert.deepStrictEqual(treeOf(`${at}/to`), expected)
  })

  test("are left where they are too deep, links, or not there", (at) => {
    fs.mkdirSync(`${at}/from/deep${"/d".repeat(20)}`, { recursive: true })
    fs.symlinkSync("a", `${at}/from/link`)
    const { ended, rest, untouched } = copy(calls, at, new Copier(`${at}/to`), ["deep", "link", "nothing"])
    assert.deepStrictEqual(untouched, [n("link"), n("nothing")])
    assert.deepStrictEqual(rest, [{ path: n(`deep${"/d".repeat(15)}`), names: [], folders: [n("d")], sizes: [10] }])
    // What is to come into the last of them changes nothing in those above.
    assert.strictEqual(ended, 15)
  })

  test("keep their temporary names until they are given theirs, if they are held", (at) => {
    fs.mkdirSync(`${at}/to/z`)
    const copier = new Copier(`${at}/to`).holds()
    const { ended, rest, untouched } = copy(calls, at, copier)
    // Others would see its files before they are flushed.
    const left = { path: n("z"), names: [n("5")], folders: [], sizes: [] }
    assert.deepStrictEqual([ended, rest, untouched], [0, [left], []])
    assert.deepStrictEqual(fs.readdirSync(`${at}/to`).toSorted(), [".tmp-a", "z"])
    assert.strictEqual(fs.statSync(`${at}/to/.tmp-a`).mode & 0o7777, 0o1700)
    assert.deepStrictEqual(copier.held.map(({ folder: { below } }) => below), [{ ended: 3, rest: [] }])
    fs.rmSync(`${at}/to`, { recursive: true })
    fs.mkdirSync(`${at}/to`)
    assert.strictEqual(copyAndPlace(calls, at, new Copier(`${at}/to`).holds()).ended, 5)
    assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
    if (mayLink) assert.deepStrictEqual(statsOf(`${at}/to`), statsOf(`${at}/from`))
  })

  test("are removed where they are held and can't have their names, but for what others have put there", (at) => {
    const copier = new Copier(`${at}/to`).holds()
    copy(calls, at, copier)
    fs.writeFileSync(`${at}/to/a`, "of somebody else")
    fs.renameSync(`${at}/to/.tmp-z`, `${at}/ours`)
    fs.mkdirSync(`${at}/to/.tmp-z`)
    fs.writeFileSync(`${at}/to/.tmp-z/theirs`, "")
    const held = copier.held.map(({ folder }) => folder)
    calls.placeFolders?.({ target: n(`${at}/to`), held, copier }, (_, placed) => {
      assert.deepStrictEqual(placed, ["removed", "removed"])
    })
    assert.deepStrictEqual(treeOf(`${at}/to`), { a: "of somebody else", ".tmp-z": "folder", ".tmp-z/theirs": "" })
  })

  const testEach = (held: boolean) => (at: string) => {
    const failed = new Set<string>()
    if (isRoot) giveAway(`${at}/from`)
    for (let turn = 0;; turn++) {
      fs.rmSync(`${at}/to`, { recursive: true })
      fs.mkdirSync(`${at}/to`)
      const faulty = failing(calls, turn)
      const copier = new Copier(`${at}/to`)
      copier.keepsOwner = true
      const copied = held ? copyAndPlace(faulty.calls, at, copier.holds()) : copy(faulty.calls, at, copier)
      const name = faulty.failed()
      if (name === undefined) break
      failed.add(name)
      checkTold(at, copied, copier, `${turn}: ${name}`)
    }
    const ofFolders = ["open", "openPath", "list", "stat", "lstat", "makeFolder", "rename", "write", "setTimes"]
    for (const name of [...ofFolders, "makeLink", "setOwnerAt", "setTimesAt"]) {
      if (name !== "rename" || !mayLink) assert.isTrue(failed.has(name), `${name} of ${Array.from(failed).join()}`)
    }
  }

  test("are whole, or told to be left, whichever call fails", testEach(false))
  test("are whole, or told to be left, whichever call fails, where they are held", testEach(true))

  test("are whole, or told to be left, whenever it has to stop", (at) => {
    for (let most = 0; most < 40; most++) {
      fs.rmSync(`${at}/to`, { recursive: true })
      fs.mkdirSync(`${at}/to`)
      const copier = new Copier(`${at}/to`, most)
      const copied = copy(calls, at, copier)
      checkTold(at, copied, copier, `after ${most}`)
      // What was not come to is nothing that could not be done.
      assert.deepStrictEqual(copied.untouched, [])
      if (most === 0) assert.strictEqual(copied.left, 2)
    }
  })

  test("tell how much less is in them than there was, also in what is left of them", (at) => {
    fs.rmSync(`${at}/from/a/1`)
    const { fewer } = copy(calls, at, new Copier(`${at}/to`))
    assert.deepStrictEqual(fewer, [{ path: n("a"), count: 1 }])
    fs.rmSync(`${at}/from/a/b/c`, { recursive: true })
    for (let most = 0; most < 40; most++) {
      fs.rmSync(`${at}/to`, { recursive: true })
      fs.mkdirSync(`${at}/to`)
      const { fewer, left, rest } = copy(calls, at, new Copier(`${at}/to`, most))
      assert.deepStrictEqual(fewer, left === 2 ? [] : [{ path: n("a"), count: 4 }], `after ${most}`)
      const sizes = rest.flatMap(({ folders, sizes }) => folders.map((name, index) => [name, sizes[index]] as const))
      for (const [name, size] of sizes) assert.strictEqual(size, name === "b" ? 4 : 2)
    }
    fs.writeFileSync(`${at}/from/a/more`, "")
    // As much came as went, and nobody knows how much there was.
    assert.deepStrictEqual(copy(calls, at, new Copier(`${at}/to`), ["a", "z"], [10, 0]).fewer, [])
  })

  test("say nothing of what is less where some of it can't be seen", (at) => {
    const hidden: SystemCalls = {
      ...calls,
      open: (folder, name, how, done) => name === "c" ? done("EIO", -1) : calls.open(folder, name, how, done)
    }
    const { fewer, rest } = copy(withFolders(hidden), at, new Copier(`${at}/to`), ["a", "z"], [99, 99])
    assert.deepStrictEqual(fewer, [{ path: n("z"), count: 96 }])
    assert.deepStrictEqual(rest, [{ path: n("a/b"), names: [], folders: [n("c")], sizes: [0] }])
  })

  test("get no name, and leave nothing, once the job is somebody else's", (at) => {
    const copier = new Copier(`${at}/to`, Number.POSITIVE_INFINITY, false)
    assert.deepStrictEqual(copy(calls, at, copier), {
      ended: 0,
      rest: [],
      untouched: [n("a"), n("z")],
      left: 0,
      fewer: []
    })
    assert.deepStrictEqual([treeOf(`${at}/to`), copier.copied], [{}, 0])
  })

  test("are copied without what is left out, which is not counted either", (at) => {
    const isLeftOut: Filter.Filter = (path, isFolder) => (path === "a/b/c" && isFolder) || path === "a/b/3"
    for (let most = 0; most < 40; most++) {
      fs.rmSync(`${at}/to`, { recursive: true })
      fs.mkdirSync(`${at}/to`)
      const copier = new Copier(`${at}/to`, most)
      copier.isLeftOut = isLeftOut
      const { fewer, rest } = copy(calls, at, copier, ["a", "z"], [9, 3])
      assert.deepStrictEqual(fewer, [])
      const sizes = rest.flatMap(({ folders, sizes }) => folders.map((name, index) => [name, sizes[index]] as const))
      for (const [name, size] of sizes) assert.strictEqual(size, name === "b" ? 3 : 2)
      const names = new Set<string>(rest.flatMap(({ folders, names }) => folders.concat(names)))
      assert.isFalse(names.has("c") || names.has("3"))
      assert.isFalse(fs.existsSync(`${at}/to/a/b/c`) || fs.existsSync(`${at}/to/a/b/3`))
    }
    assert.deepStrictEqual(Object.keys(treeOf(`${at}/to`)).toSorted(), [
      "a",
      "a/1",
      "a/2",
      "a/b",
      "a/b/link",
      "a/empty",
      "z",
      "z/5"
    ])
  })

  test("are measured, if there is nothing in them but files, links and folders, and no more than so much", (at) => {
    const measured = (name: string, most: number, more: Omit<Files.Measuring, "most"> = {}) => {
      const found: Array<unknown> = []
      calls.measure?.(n(`${at}/from/${name}`), { most, ...more }, (_, size) => found.push(size))
      return found
    }
    assert.deepStrictEqual(measured("a", 9), [Option.some({ leaves: 5, folders: 4 })])
    assert.deepStrictEqual(measured("a/empty", 1), [Option.some({ leaves: 0, folders: 1 })])
    assert.deepStrictEqual([measured("a", 8), measured("nothing", 9), measured("a/b/link", 9)], [
      [Option.none()],
      [Option.none()],
      [Option.none()]
    ])
    // Of those that are too much it is told what is known of folders in them, which are met in any order.
    for (const most of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const told = new Map<string, Files.FolderSize>()
      measured("a", most, { tell: (below, size) => told.set(`a/${below}`, size) })
      assert.isTrue(most < 8 || told.size > 0)
      for (const [name, size] of told) assert.deepStrictEqual(measured(name, 9), [Option.some(size)])
      assert.isFalse(told.has("a/b") && told.has("a/b/c"))
    }
    execFileSync("mkfifo", [`${at}/from/a/b/pipe`])
    assert.deepStrictEqual(measured("a", 99), [Option.none()])
    const isLeftOut: Filter.Filter = (path, isFolder) => (path === "b/c" && isFolder) || path === "b/pipe"
    assert.deepStrictEqual(measured("a", 99, { isLeftOut }), [Option.some({ leaves: 4, folders: 3 })])
    fs.mkdirSync(`${at}/from/deep${"/d".repeat(20)}`, { recursive: true })
    assert.deepStrictEqual(measured("deep", 99), [Option.none()])
  })

  it.effect.skipIf(!isRoot || !mayLink)(
    "are left where what has a name keeps it, but for what is in those that are there (needs chattr)",
    (context) =>
      Effect.gen(function*() {
        const at = yield* testFolder
        fs.mkdirSync(`${at}/from`)
        plant(`${at}/from`)
        fs.mkdirSync(`${at}/to/a/b`, { recursive: true })
        const stuck = [`${at}/to`, `${at}/to/a`]
        if (spawnSync("chattr", ["+a", ...stuck]).status !== 0) return context.skip("needs chattr +a")
        const copied = copy(calls, at, new Copier(`${at}/to`))
        spawnSync("chattr", ["-a", ...stuck])
        // Nobody may set the times of such a folder either.
        const rest = [{ path: n("a"), names: [], folders: [n("empty")], sizes: [2] }]
        assert.deepStrictEqual(copied, { ended: 2, rest, untouched: [n("z")], left: 0, fewer: [] })
        const expected = treeOf(`${at}/from`)
        for (const name of ["a/empty", "z", "z/5"]) Reflect.deleteProperty(expected, name)
        assert.deepStrictEqual(treeOf(`${at}/to`), expected)
      })
  )

  it.effect.skipIf(!isRoot)(
    "are made where what is made gets the group of its folder",
    () =>
      Effect.gen(function*() {
        const at = yield* testFolder
        fs.mkdirSync(`${at}/from`)
        plant(`${at}/from`)
        fs.chmodSync(`${at}/from`, 0o755)
        fs.mkdirSync(`${at}/to`)
        const group = 4242
        yield* asNobody(
          at,
          // As somebody who is not of this group, and may not set the bit that says so.
          Effect.sync(() => {
            for (let most = 0; most < 40; most++) {
              fs.rmSync(`${at}/to`, { recursive: true })
              fs.mkdirSync(`${at}/to`)
              process.seteuid?.(0)
              fs.chownSync(`${at}/to`, 0, group)
              fs.chmodSync(`${at}/to`, 0o2777)
              process.seteuid?.(65_534)
              const { rest } = copy(calls, at, new Copier(`${at}/to`, most))
              // What is left is made later.
              for (const { path } of rest) {
                assert.strictEqual(fs.lstatSync(`${at}/to/${path}`).mode & 0o2000, 0o2000, `${path} after ${most}`)
              }
              for (const name of Object.keys(treeOf(`${at}/to`))) {
                assert.strictEqual(fs.lstatSync(`${at}/to/${name}`).gid, group, `${name} after ${most}`)
              }
            }
          })
        )
      })
  )

  test("are known where a former attempt has made them in a folder that gives its group", (at) => {
    for (const mode of [0o1700, 0o3700]) {
      fs.mkdirSync(`${at}/to/.tmp-a/b`, { recursive: true })
      fs.writeFileSync(`${at}/to/.tmp-a/b/3`, "half")
      fs.chmodSync(`${at}/to/.tmp-a`, mode)
      assert.deepStrictEqual(copy(calls, at, new Copier(`${at}/to`)).untouched, [])
      assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
      fs.rmSync(`${at}/to/a`, { recursive: true })
    }
  })

  test("lose what former attempts have left in them", (at) => {
    fs.mkdirSync(`${at}/to/a/.old-1/b`, { recursive: true })
    fs.writeFileSync(`${at}/to/a/.old-1/b/3`, "half")
    fs.chmodSync(`${at}/to/a/.old-1`, 0o1700)
    fs.writeFileSync(`${at}/to/a/.old-2`, "half")
    fs.writeFileSync(`${at}/to/a/.new`, "half")
    const isLeftover = (name: string) => name.startsWith(".old-")
    const copyTo = (mayPublish: boolean) =>
      copy(calls, at, new Copier(`${at}/to`, Number.POSITIVE_INFINITY, mayPublish, isLeftover), ["a"])
    // Whoever owns the job no more takes nothing away.
    copyTo(false)
    assert.deepStrictEqual(fs.readdirSync(`${at}/to/a`).filter((name) => isLeftover(name)), [".old-1", ".old-2"])
    copyTo(true)
    assert.deepStrictEqual(fs.readdirSync(`${at}/to/a`).filter((name) => name.startsWith(".")), [".new"])
  })

  test("are told once where what is in them can neither be closed nor removed", (at) => {
    fs.mkdirSync(`${at}/to/z`)
    const { copyPlain: _, ...others } = calls
    const stuck: SystemCalls = {
      ...others,
      close: (descriptor, done) => others.close(descriptor, () => done("EIO", undefined)),
      unlink: (_folder, _name, done) => done("EIO", undefined)
    }
    const { ended, rest, untouched } = copy(withFolders(stuck), at, new Copier(`${at}/to`), ["z"])
    assert.deepStrictEqual({ ended, rest, untouched }, {
      ended: 0,
      rest: [{ path: n("z"), names: [n("5")], folders: [], sizes: [] }],
      untouched: []
    })
    // One that nobody sees gets no name with such a thing in it.
    fs.rmSync(`${at}/to/z`, { recursive: true })
    assert.deepStrictEqual(copy(withFolders(stuck), at, new Copier(`${at}/to`), ["z"]).untouched, [n("z")])
    assert.isFalse(fs.existsSync(`${at}/to/z`))
  })

  test("get no name with a link in them that could neither be made as it is to be nor removed", (at) => {
    const stuck: SystemCalls = {
      ...calls,
      setTimesAt: (_folder, _name, _times, done) => done("EPERM", undefined),
      unlink: (_folder, _name, done) => done("EIO", undefined)
    }
    assert.deepStrictEqual(copy(withFolders(stuck), at, new Copier(`${at}/to`), ["a"]).untouched, [n("a")])
    assert.isFalse(fs.existsSync(`${at}/to/a`))
  })

  test("are full of whole files where less is written at once than there is, and of none where nothing is", (at) => {
    const { copyPlain: _, ...others } = calls
    const copyBy = (most: number) => {
      let writes = 0
      const short: SystemCalls = {
        ...others,
        write: (file, bytes, offset, done) => {
          if (++writes > 100) throw new Error("it is written for ever")
          if (most === 0) done(undefined, 0)
          else others.write(file, bytes.subarray(0, most), offset, done)
        }
      }
      return copy(withFolders(short), at, new Copier(`${at}/to`), ["z"]).rest
    }
    assert.deepStrictEqual(copyBy(0), [{ path: n("z"), names: [n("5")], folders: [], sizes: [] }])
    assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder" })
    fs.rmdirSync(`${at}/to/z`)
    assert.deepStrictEqual(copyBy(3), [])
    assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder", "z/5": "content of z/5" })
  })

  test("have what a file holds once nobody writes to it any more, and ask between its pieces", (at) => {
    class Writing extends Copier {
      private isWritten = false

      override files(names: ReadonlyArray<FilePath.FilePath>, isOwn: boolean) {
        const { copier, rest } = super.files(names, isOwn)
        const begin: Files.Copier["begin"] = (stat) => {
          if (!this.isWritten) fs.appendFileSync(`${at}/from/z/5`, Buffer.alloc(10 * 4096))
          this.isWritten = true
          return copier.begin(stat)
        }
        return { copier: { ...copier, begin }, rest }
      }
    }
    const copier = new Writing(`${at}/to`)
    const { rest } = copy(calls, at, copier, ["z"])
    // It is begun once more, or left.
    assert.strictEqual(rest.length, mayLink ? 0 : 1)
    const expected = mayLink ? fs.readFileSync(`${at}/from/z/5`, "latin1") : undefined
    assert.strictEqual(treeOf(`${at}/to`)["z/5"], expected)

    fs.rmSync(`${at}/to/z`, { recursive: true })
    const again = new Copier(`${at}/to`)
    assert.deepStrictEqual(copy(calls, at, again, ["z"]).rest, [])
    assert.isAtLeast(again.asked, 10)
  })

  test("leave a file that is another one by the time it is opened, however alike", (at) => {
    fs.writeFileSync(`${at}/other`, "content of b/6")
    for (const name of ["from/z/5", "other"]) fs.utimesSync(`${at}/${name}`, 1e9, 1e9)
    const { copyPlain: _, ...others } = calls
    const swapped: SystemCalls = {
      ...others,
      open: (folder, name, how, done) => {
        if (name === "5" && how === "read") fs.renameSync(`${at}/other`, `${at}/from/z/5`)
        others.open(folder, name, how, done)
      }
    }
    const { rest } = copy(withFolders(swapped), at, new Copier(`${at}/to`), ["z"])
    assert.deepStrictEqual(rest, [{ path: n("z"), names: [n("5")], folders: [], sizes: [] }])
    assert.deepStrictEqual(treeOf(`${at}/to`), { z: "folder" })
  })

  test("are told from files where the file system does not say what is what", (at) => {
    const blind: SystemCalls = {
      ...calls,
      list: (folder, add, done) => calls.list(folder, (name) => add(name, "unknown"), done)
    }
    assert.deepStrictEqual(copy(withFolders(blind), at, new Copier(`${at}/to`)), {
      ended: 5,
      rest: [],
      untouched: [],
      left: 0,
      fewer: []
    })
    assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
  })

  test("are taken back where nobody may write in them any more", (at) => {
    const modes = [["a/b/c", 0o555], ["a/b", 0o555], ["a", 0o555], ["z", 0o055]] as const
    for (const [name, mode] of modes) fs.chmodSync(`${at}/from/${name}`, mode)
    const copyAs = (mayPublish: boolean) => {
      fs.rmdirSync(`${at}/to`)
      fs.mkdirSync(`${at}/to`)
      return copy(calls, at, new Copier(`${at}/to`, Number.POSITIVE_INFINITY, mayPublish))
    }
    Effect.runSync(asNobody(
      at,
      Effect.sync(() => {
        assert.deepStrictEqual(copyAs(false), { ended: 0, rest: [], untouched: [n("a"), n("z")], left: 0, fewer: [] })
        // Who may not look into it could not take it back.
        assert.deepStrictEqual(copyAs(true), { ended: 4, rest: [], untouched: [n("z")], left: 0, fewer: [] })
        assert.deepStrictEqual(fs.readdirSync(`${at}/to`), ["a"])
      })
    ))
    fs.chmodSync(`${at}/from/z`, 0o755)
  })

  test("that are there stay as they are once the job is somebody else's", (at) => {
    fs.mkdirSync(`${at}/to/a/empty`, { recursive: true })
    fs.mkdirSync(`${at}/to/z`)
    const before = statsOf(`${at}/to`)
    copy(calls, at, new Copier(`${at}/to`, Number.POSITIVE_INFINITY, false))
    const after = new Map(statsOf(`${at}/to`).map((one) => [one[0], one]))
    assert.deepStrictEqual(after.get("a/empty"), before.find(([name]) => name === "a/empty"))
  })

  test("begin anew where an attempt before this one has left its part", (at) => {
    fs.mkdirSync(`${at}/to/.tmp-a/b`, { recursive: true })
    fs.writeFileSync(`${at}/to/.tmp-a/b/3`, "half")
    fs.chmodSync(`${at}/to/.tmp-a`, 0o1700)
    fs.mkdirSync(`${at}/to/.tmp-z`)
    assert.deepStrictEqual(copy(calls, at, new Copier(`${at}/to`)).untouched, [])
    assert.deepStrictEqual(treeOf(`${at}/to`), treeOf(`${at}/from`))
  })

  test("leave what somebody puts in the place of one that was just made", (at) => {
    for (const [mode, owner] of [[0o755, 0], [0o700, 0], [0o1700, 1234]] as const) {
      fs.rmSync(`${at}/to`, { recursive: true })
      fs.mkdirSync(`${at}/to`)
      fs.mkdirSync(`${at}/to/theirs`)
      fs.writeFileSync(`${at}/to/theirs/file`, "precious")
      const isRoot = process.getuid?.() === 0
      if (isRoot) fs.chownSync(`${at}/to/theirs`, owner, owner)
      fs.chmodSync(`${at}/to/theirs`, isRoot ? mode : 0o755)
      const swapped: SystemCalls = {
        ...calls,
        makeFolder: (folder, name, mode, done) =>
          calls.makeFolder(folder, name, mode, (code, value) => {
            if (name === ".tmp-z") {
              fs.rmdirSync(`${at}/to/${name}`)
              fs.renameSync(`${at}/to/theirs`, `${at}/to/${name}`)
            }
            done(code, value)
          })
      }
      assert.deepStrictEqual(copy(withFolders(swapped), at, new Copier(`${at}/to`), ["z"]).untouched, [n("z")])
      assert.deepStrictEqual(treeOf(`${at}/to`), { ".tmp-z": "folder", ".tmp-z/file": "precious" })
      assert.strictEqual(fs.lstatSync(`${at}/to/.tmp-z`).mode & 0o7777, isRoot ? mode : 0o755)
    }
  })

  test("leave what others have given the name of what an attempt has left", (at) => {
    const others = [[`${at}/to/.tmp-a`, 0o700, 0], [`${at}/to/.tmp-z`, 0o1700, 1234]] as const
    for (const [folder, mode, owner] of others) {
      fs.mkdirSync(`${folder}/inner`, { recursive: true })
      fs.writeFileSync(`${folder}/inner/file`, "precious")
      if (process.getuid?.() === 0) fs.chownSync(folder, owner, owner)
      fs.chmodSync(folder, process.getuid?.() === 0 ? mode : 0o700)
    }
    const before = treeOf(`${at}/to`)
    const isLeftover = (name: string) => name.startsWith(".tmp-")
    const copier = new Copier(`${at}/to`, Number.POSITIVE_INFINITY, true, isLeftover)
    assert.deepStrictEqual(copy(calls, at, copier).untouched, [n("a"), n("z")])
    assert.deepStrictEqual(treeOf(`${at}/to`), before)

    fs.renameSync(`${at}/to`, `${at}/a`)
    fs.mkdirSync(`${at}/to`)
    fs.renameSync(`${at}/a`, `${at}/to/a`)
    // Those in a folder that is filled stay, too, and it is ended by who knows.
    assert.deepStrictEqual(copy(calls, at, copier, ["a"]).rest.map(({ path }) => path), [n("a")])
    assert.include(treeOf(`${at}/to/a`), before)
  })
})
