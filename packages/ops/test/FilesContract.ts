import { assert, describe, type Vitest } from "@effect/vitest"
import { type Call, type Calls, code as codeOf, Failed, isCode } from "@fanout/ops/Calls"
import type { Property } from "@fanout/ops/CopyOptions"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { FilesError } from "@fanout/ops/FilesError"
import type * as FolderListing from "@fanout/ops/FolderListing"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { type Reader, readFiles } from "../src/internal/content/fileReader.ts"
import { giveOwner } from "../src/internal/files/fileOwner.ts"
import { mostDeep } from "../src/internal/files/folderSize.ts"
import { now, type Routine } from "../src/internal/files/routine.ts"
import { type Remover, removeTree } from "../src/internal/files/treeRemoval.ts"
import { type CopiedUnit, type Filled, resultOf, type Unit, unsettled } from "../src/internal/steps/unit.ts"
import { fill, type Limits } from "../src/internal/units/draftFilling.ts"
import { FileCopy, type FileCopyOptions } from "../src/internal/units/fileCopy.ts"
import { settle } from "../src/internal/units/placement.ts"
import { compareNames, type Comparer } from "../src/internal/verify/pairComparison.ts"

const bytes = (latin1: string): Uint8Array => Buffer.from(latin1, "latin1")
const n = (latin1: string): FilePath.FilePath => FilePath.fromBytes(bytes(latin1))

/** Makes a call, and fails as it does. */
function* asked<A>(call: Call<A>): Routine<A | Failed> {
  const answer = yield* call
  return isCode(answer) ? new Failed("open", answer) : answer
}

/** Makes a call with an open file. */
const ask = <A>(file: Files.OpenFile, call: (calls: Calls, descriptor: number) => Call<A>) =>
  file.run?.((calls, descriptor) => asked(call(calls, descriptor))) ?? assert.fail()

/** Makes a call by a name in a folder. */
const askAt = <A>(
  folder: Files.Folder,
  name: FilePath.FilePath,
  call: (calls: Calls, folder: number) => Call<A>
) => folder.run?.(name, (calls, folder) => asked(call(calls, folder))) ?? assert.fail()

const setTimes = (folder: Files.Folder, name: FilePath.FilePath, times: Files.FileTimes) =>
  askAt(folder, name, (calls, folder) => calls.setTimesAt(folder, name, times))

const setOwner = (folder: Files.Folder, name: FilePath.FilePath, owner: Files.Owner) =>
  folder.run?.(name, (calls, folder) => giveOwner(calls, { folder, name }, owner)) ?? assert.fail()
const times = { accessedNanos: 1_600_000_000_111_222_000n, modifiedNanos: 1_700_000_000_123_456_000n }

const write = (folder: Files.Folder, name: string, text: string) =>
  Effect.scoped(Effect.flatMap(folder.create(n(name)), (file) => file.write(bytes(text))))

const contentOf = Effect.fnUntraced(function*(file: Files.OpenFile) {
  const buffer = Buffer.alloc(3)
  let text = ""
  for (let length = yield* file.read(buffer); length > 0; length = yield* file.read(buffer)) {
    text += buffer.toString("latin1", 0, length)
  }
  return text
})

const read = (folder: Files.Folder, name: string) => Effect.scoped(Effect.flatMap(folder.open(n(name)), contentOf))

const code = <A, R>(effect: Effect.Effect<A, { readonly code: string }, R>) =>
  Effect.map(Effect.flip(Effect.scoped(effect)), (error) => error.code)

const isClose = (a: bigint, b: bigint): void => assert.isBelow(Math.abs(Number(a - b)), 1000)

const entriesIn = (listing: FolderListing.FolderListing): ReadonlyArray<readonly [string, string]> =>
  Array.from({ length: listing.size }, (_, i) => [listing.nameAt(i), listing.kindAt(i)])

const entriesOf = (folder: Files.Folder) => Effect.map(folder.list, entriesIn)

const namesIn = (folder: Files.Folder) => Effect.map(entriesOf(folder), (entries) => entries.map(([name]) => name))

interface Place {
  readonly files: Files.Files["Service"]
  /** The empty folder that is the test's own. */
  readonly folder: Files.Folder
  /** Path of what has the name in there. */
  readonly at: (name: string) => FilePath.FilePath
  /** Does work by the folder; nothing where calls are not made at once, which is an error where they have to be. */
  readonly atOnce: <A>(work: (calls: Calls, folder: number) => A) => Effect.Effect<Option.Option<A>>
}

type Test = <A, E>(
  name: string,
  body: (place: Place) => Effect.Effect<A, E, Files.Files | Scope.Scope>
) => void

/** Every call by a name, with what it does where there is a file of the name. */
const callsByName = (folder: Files.Folder, name: FilePath.FilePath) => ({
  lstat: folder.lstat(name),
  find: folder.find(name),
  folder: folder.folder(name),
  open: folder.open(name),
  create: folder.create(name),
  update: folder.update(name),
  setOwner: setOwner(folder, name, { owner: 0, group: 0 }),
  makeFolder: folder.makeFolder(name),
  readLink: folder.readLink(name),
  makeLink: folder.makeLink(n("target"), name),
  setTimes: setTimes(folder, name, times),
  renameFrom: folder.rename(name, n("other")),
  renameTo: folder.rename(n("file"), name),
  linkFrom: folder.link(name, n("other")),
  linkTo: folder.link(n("file"), name),
  unlink: folder.unlink(name),
  removeFolder: folder.removeFolder(name)
})

/** Notes what it is given, in the order in which that comes. */
class Notes implements Reader {
  readonly buffer = new Uint8Array(4)
  readonly notes: Array<string> = []
  readonly mayGoOn: () => boolean

  constructor(mayGoOn: () => boolean = () => true) {
    this.mayGoOn = mayGoOn
  }

  begin({ kind, sizeBytes }: Pick<Files.FileStat, "kind" | "sizeBytes">): boolean {
    this.notes.push(`begin ${kind === "file" ? sizeBytes : kind}`)
    return kind === "file" && sizeBytes < 20
  }

  piece(bytes: Uint8Array): void {
    this.notes.push(Buffer.from(bytes).toString("latin1"))
  }

  end(isSame: boolean): void {
    this.notes.push(isSame ? "end" : "changed")
  }

  fail({ call, code, path }: { readonly call: string; readonly code: string; readonly path: string }): void {
    this.notes.push(`${call} ${path.slice(path.lastIndexOf("/") + 1)} ${code}`)
  }
}

/** Notes how entries compare, and compares the content of those below 20 bytes. */
class PairNotes implements Comparer {
  readonly buffers = [Buffer.alloc(4), Buffer.alloc(4)] as const
  readonly notes: Array<string> = []
  readonly mayGoOn: () => boolean

  constructor(mayGoOn: () => boolean = () => true) {
    this.mayGoOn = mayGoOn
  }

  begin(a: Files.FileStat, b: Files.FileStat): boolean {
    this.notes.push([a, b].map(({ kind, sizeBytes }) => kind === "file" ? sizeBytes : kind).join(" "))
    return a.kind !== "folder" && a.sizeBytes < 20
  }

  end(at: number | undefined, sameBytes: number): void {
    this.notes.push(`${at === undefined ? "same" : `from ${at} on`}, ${sameBytes}`)
  }

  changed(side: "A" | "B"): void {
    this.notes.push(`changed ${side}`)
  }

  leave(): void {
    this.notes.push("left")
  }
}

/** Empties folders, and counts what is gone. */
class Broom implements Remover {
  readonly removed = { names: 0, folders: 0 }
  private readonly most: number
  private readonly refused: ReadonlyArray<string>
  private readonly left: ReadonlyArray<string>
  private path = FilePath.empty

  constructor(
    { begin = [], isLeft = [], most = Number.POSITIVE_INFINITY }: {
      readonly begin?: ReadonlyArray<string>
      readonly isLeft?: ReadonlyArray<string>
      readonly most?: number
    } = {}
  ) {
    this.refused = begin
    this.left = isLeft
    this.most = most
  }

  mayGoOn(): boolean {
    return this.removed.names < this.most
  }

  *begin(path: FilePath.FilePath): Routine<boolean> {
    this.path = path
    return !this.refused.includes(path)
  }

  *isLeft(name: FilePath.FilePath): Routine<boolean> {
    return this.left.includes(FilePath.join(this.path, name))
  }

  readonly removedName = (): void => void this.removed.names++

  readonly removedFolder = (): void => void this.removed.folders++
}

/** Work that makes many calls. */
const atOnceTests = (test: Test, isAtOnce: boolean | undefined) => {
  test("does work that makes many calls, or nothing of it, and none by a folder that is closed", ({ files, folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "text")
      let done = 0
      const there = yield* files.atOnce((calls) => {
        done++
        return calls.statPath(folder.path, false).now()
      })
      if (isAtOnce !== undefined) assert.strictEqual(Option.isSome(there), isAtOnce)
      assert.strictEqual(done, Option.isSome(there) ? 1 : 0)
      if (Option.isSome(there)) assert.strictEqual(isCode(there.value) || there.value.kind, "folder")
      const closed = yield* Effect.scoped(files.folder(folder.path))
      assert.isTrue(Option.isNone(yield* closed.atOnce(() => done++)))
      const found = yield* folder.atOnce((calls, inode) =>
        ["file", "nothing"].map((name) => calls.lstat(inode, n(name)).now())
      )
      if (Option.isNone(found)) return
      const [file, nothing] = found.value
      assert.deepStrictEqual(
        [isCode(file) ? file : file?.sizeBytes, nothing],
        [4, codeOf("ENOENT")]
      )
    }))
}

const keepsAll = { keeps: new Set<Property>(["mode", "times", "owner", "sparse", "xattr"]), isMove: false }

/** Copying of single files and links into a folder that is nobody else's. */
const copyingTests = (test: Test) => {
  /** Opens something, which has to be there. */
  const opened = (calls: Calls, path: FilePath.FilePath): number => {
    const folder = calls.openPath(path, "folder").now()
    return isCode(folder) ? assert.fail(folder.name) : folder
  }
  /** Copies what has the names, and tells what became of each, and whether its owner was lost. */
  const copy = (
    { at, atOnce }: Place,
    names: ReadonlyArray<string>,
    options: Partial<FileCopyOptions> = {},
    met: (name: string) => string = (name) => name
  ) =>
    atOnce((calls, from) => {
      const to = opened(calls, at("into"))
      const files = new FileCopy(calls, { ...keepsAll, mayGoOn: () => true, take: undefined, ...options })
      const copied = names.map((name): string => {
        const stat = calls.lstat(from, n(met(name))).now()
        return isCode(stat) ? stat.name : now(() => files.copy({ from, name: n(name), stat, to, as: n(name) }))
      })
      calls.closeNow(to)
      return copied
    })
  const large = "0123456789".repeat(60_000)
  const plant = Effect.fnUntraced(function*(folder: Files.Folder) {
    for (const [name, text] of [["a", "0123456789"], ["b", ""], ["c", "abcd"], ["large", large]] as const) {
      yield* write(folder, name, text)
    }
    yield* Effect.scoped(Effect.flatMap(folder.open(n("a")), (file) => file.setMode(0o640)))
    yield* setTimes(folder, n("a"), times)
    yield* folder.makeLink(n("a"), n("link"))
    yield* folder.makeFolder(n("into"))
  })

  test("copies files and links with mode and times, those whose names are free", (place) =>
    Effect.gen(function*() {
      const { at, files, folder } = place
      yield* plant(folder)
      const names = ["a", "nothing", "b", "into", "large", "link", "c"]
      const first = yield* copy(place, names)
      const into = yield* files.folder(at("into"))
      if (Option.isNone(first)) return assert.deepStrictEqual(yield* namesIn(into), [])
      assert.deepStrictEqual(first.value, ["copied", "ENOENT", "copied", "left", "copied", "copied", "copied"])
      assert.deepStrictEqual(yield* namesIn(into), ["a", "b", "c", "large", "link"])
      assert.deepStrictEqual([yield* read(into, "a"), yield* read(into, "b")], ["0123456789", ""])
      assert.isTrue((yield* read(into, "large")) === large)
      assert.strictEqual(yield* into.readLink(n("link")), "a")
      for (const name of ["a", "large", "link"]) {
        const [source, there] = [yield* folder.lstat(n(name)), yield* into.lstat(n(name))]
        assert.deepStrictEqual([there.mode, there.sizeBytes], [source.mode, source.sizeBytes])
        isClose(there.modifiedNanos, source.modifiedNanos)
      }
      // What has come there all the same stays as it is.
      yield* folder.rename(n("c"), n("a"))
      const second = yield* copy(place, ["a", "link"])
      if (Option.isSome(second)) assert.deepStrictEqual(second.value, ["left", "left"])
      assert.strictEqual(yield* read(into, "a"), "0123456789")
    }))

  test("leaves nothing of a copy of what is another one than was met, or was written to meanwhile", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      const other = yield* copy(place, ["a"], {}, () => "c")
      if (Option.isSome(other)) assert.deepStrictEqual(other.value, ["left"])
      const written = yield* place.atOnce((calls, from) => {
        const to = opened(calls, place.at("into"))
        const file = calls.open(from, n("c"), "update").now()
        const stat = calls.lstat(from, n("c")).now()
        if (isCode(file) || isCode(stat)) return assert.fail()
        const take = () => void calls.write(file, bytes("more"), 4).now()
        const files = new FileCopy(calls, { ...keepsAll, mayGoOn: () => true, take })
        const copied = now(() => files.copy({ from, name: n("c"), stat, to, as: n("c") }))
        for (const descriptor of [file, to]) calls.closeNow(descriptor)
        return copied
      })
      if (Option.isSome(written)) assert.strictEqual(written.value, "left")
      assert.deepStrictEqual(yield* namesIn(yield* place.files.folder(place.at("into"))), [])
    }))

  test("gives what passes through a copy to whoever wants to know it, and copies owners", (place) =>
    Effect.gen(function*() {
      const { at, files, folder } = place
      yield* plant(folder)
      const wanted = { owner: 1234, group: 2345 }
      // Only a few users may give files away.
      const mayOwn = yield* setOwner(folder, n("a"), wanted)
      const into = yield* files.folder(at("into"))
      for (const takes of [true, false]) {
        const taken: Array<Uint8Array> = []
        const take = takes ? (piece: Uint8Array) => void taken.push(Uint8Array.from(piece)) : undefined
        const copied = yield* copy(place, ["a", "b", "large", "c"], { take })
        if (Option.isNone(copied)) return
        assert.isTrue(Buffer.concat(taken).toString() === (takes ? `0123456789${large}abcd` : ""))
        assert.deepStrictEqual([yield* read(into, "a"), yield* read(into, "c")], ["0123456789", "abcd"])
        assert.isTrue((yield* read(into, "large")) === large)
        const [{ group, mode, owner }, other] = [yield* into.lstat(n("a")), yield* folder.lstat(n("c"))]
        if (mayOwn) assert.deepStrictEqual({ owner, group }, wanted)
        assert.strictEqual(mode, 0o640)
        const { group: itsGroup, owner: itsOwner } = yield* into.lstat(n("c"))
        assert.deepStrictEqual([itsOwner, itsGroup], [other.owner, other.group])
        for (const name of ["a", "b", "c", "large"]) yield* into.unlink(n(name))
      }
    }))

  test("fills no holes of a copy, and takes them for zeros", (place) =>
    Effect.gen(function*() {
      const { at, files, folder } = place
      const mebi = 2 ** 20
      const contents = {
        middle: [3 * mebi, [mebi, "x".repeat(10_000)], [2 * mebi, "y"]],
        end: [2 * mebi + 1, [2 * mebi, "z"]],
        nothing: [mebi]
      } as const
      for (const [name, [sizeBytes, ...pieces]] of Object.entries(contents)) {
        const file = yield* folder.create(n(name))
        for (const [offset, text] of pieces) yield* file.writeAt(bytes(text), offset)
        yield* file.truncate(sizeBytes)
        yield* file.close
      }
      yield* folder.makeFolder(n("into"))
      const into = yield* files.folder(at("into"))
      for (const [name, [sizeBytes, ...pieces]] of Object.entries(contents)) {
        const taken: Array<Buffer> = []
        const copied = yield* copy(place, [name], { take: (bytes) => void taken.push(Buffer.from(bytes)) })
        if (Option.isNone(copied)) return
        assert.deepStrictEqual(copied.value, ["copied"])
        const expected = Buffer.alloc(sizeBytes)
        for (const [offset, text] of pieces) expected.write(text, offset)
        const file = yield* into.open(n(name))
        const found = Buffer.alloc(sizeBytes + 1)
        let length = 0
        for (let more = -1; more !== 0; length += more) more = yield* file.readAt(found.subarray(length), length)
        assert.isTrue(expected.equals(found.subarray(0, length)), name)
        assert.isTrue(expected.equals(Buffer.concat(taken)), `${name} as it was taken`)
        if (Option.isNone(yield* ifSupported(file.dataFrom(0)))) continue
        const source = yield* folder.lstat(n(name))
        assert.isAtMost((yield* file.stat).allocatedBytes, source.allocatedBytes, name)
      }
    }))

  test("leaves nothing there of a copy that is stopped before it is whole", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      const into = yield* place.files.folder(place.at("into"))
      for (const take of [undefined, () => {}]) {
        // Between pieces only.
        let left = 1
        const copied = yield* copy(place, ["a", "large"], { take, mayGoOn: () => left-- > 0 })
        if (Option.isNone(copied)) return
        assert.deepStrictEqual(copied.value, ["copied", "stopped"])
        assert.deepStrictEqual(yield* namesIn(into), ["a"])
        yield* into.unlink(n("a"))
      }
    }))
}

/** Copying of several names of a folder, in a draft that each gets its name from. */
const unitTests = (test: Test) => {
  const draft = n(".draft")
  const unitOf = ({ at, folder }: Place, names: ReadonlyArray<string>, more: Partial<Unit> = {}): Unit => ({
    source: folder.path,
    target: at("into"),
    names: names.map(n),
    areFolders: false,
    size: names.length,
    sizes: [],
    draft,
    conflict: "skip",
    isAgain: false,
    isFree: false,
    keeps: Array.from(keepsAll.keeps),
    avoid: [],
    rules: [],
    below: FilePath.empty,
    isFollowing: false,
    isMove: false,
    waits: true,
    isVerified: false,
    mostBytes: 2 ** 30,
    ...more
  })
  const freely: Limits = { mayBegin: () => true, mayGoOn: () => true, mayPublish: () => true, isLeftover: undefined }
  const settleAll = (
    calls: Calls,
    unit: Unit,
    filled: Filled,
    { dropped = [], mayPublish = true }: { readonly dropped?: ReadonlyArray<number>; readonly mayPublish?: boolean } =
      {}
  ) =>
    now(settle, calls, unit, { ...filled, dropped }, { mayGoOn: () => true, mayPublish: () => mayPublish }, unsettled)
  /** Copies a unit, and tells what that came to. */
  const copy = ({ atOnce }: Place, unit: Unit, limits: Partial<Limits> = {}, mayPublish = true) =>
    atOnce((calls): CopiedUnit => {
      const filled = now(fill, calls, unit, { ...freely, ...limits })
      return resultOf(filled, settleAll(calls, unit, filled, { mayPublish })).result
    })
  const restOf = (result: CopiedUnit) => result.rest.flatMap(({ folders, names }) => [...names, ...folders])
  const plant = Effect.fnUntraced(function*(folder: Files.Folder) {
    for (const [name, text] of [["a", "0123456789"], ["b", ""], ["c", "abcd"]] as const) {
      yield* write(folder, name, text)
    }
    yield* Effect.scoped(Effect.flatMap(folder.open(n("a")), (file) => file.setMode(0o640)))
    yield* setTimes(folder, n("a"), times)
    yield* folder.makeFolder(n("into"))
  })

  test("copies files and links whose names are free, and leaves all else", (place) =>
    Effect.gen(function*() {
      const { at, files, folder } = place
      yield* plant(folder)
      yield* folder.makeLink(n("a"), n("link"))
      const into = yield* files.folder(at("into"))
      const first = yield* copy(place, unitOf(place, ["a", "nothing", "b", "into", "link", "c"]))
      if (Option.isNone(first)) return assert.deepStrictEqual(yield* namesIn(into), [])
      const { bytes, copied, linked } = first.value
      assert.deepStrictEqual([copied, linked, bytes, restOf(first.value)], [3, 1, 14, ["nothing", "into"]])
      assert.deepStrictEqual(yield* namesIn(into), ["a", "b", "c", "link"])
      assert.strictEqual(yield* into.readLink(n("link")), "a")
      assert.deepStrictEqual([yield* read(into, "a"), yield* read(into, "b")], ["0123456789", ""])
      const [a, there] = [yield* folder.lstat(n("a")), yield* into.lstat(n("a"))]
      assert.deepStrictEqual([there.mode, there.sizeBytes, there.links], [a.mode, a.sizeBytes, 1])
      isClose(there.modifiedNanos, a.modifiedNanos)

      yield* folder.rename(n("c"), n("a"))
      const second = yield* copy(place, unitOf(place, ["a", "b"]))
      if (Option.isSome(second)) assert.deepStrictEqual([second.value.copied, second.value.skipped], [0, ["a", "b"]])
      // What is taken for free and is not stays as it is.
      const third = yield* copy(place, unitOf(place, ["a"], { isFree: true }))
      if (Option.isSome(third)) assert.deepStrictEqual([third.value.copied, restOf(third.value)], [0, ["a"]])
      assert.strictEqual(yield* read(into, "a"), "0123456789")
      assert.deepStrictEqual(yield* namesIn(into), ["a", "b", "c", "link"])
    }))

  test("copies nothing by names that are none", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      yield* place.folder.makeFolder(n("inner"))
      const inner = yield* place.folder.folder(n("inner"))
      yield* inner.makeFolder(n("inner"))
      yield* write(inner, "file", "text")
      const into = yield* place.files.folder(place.at("into"))
      yield* into.makeFolder(n("inner"))
      for (
        const [name, areFolders] of [["..", true], ["", true], ["inner/inner", true], ["inner/file", false]] as const
      ) {
        const copied = yield* copy(place, unitOf(place, [name], { areFolders }))
        if (Option.isSome(copied)) assert.deepStrictEqual(restOf(copied.value), [n(name)])
      }
      assert.deepStrictEqual(yield* namesIn(into), ["inner"])
      assert.deepStrictEqual(yield* Effect.flatMap(into.folder(n("inner")), namesIn), [])
    }))

  test("has copies take the place of what is there, where it may", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      const into = yield* place.files.folder(place.at("into"))
      for (const name of ["a", "b", "c"]) yield* write(into, name, name === "b" ? "other" : "old")
      yield* into.link(n("a"), n("kept"))
      const texts = Effect.forEach(["a", "b", "c", "kept"], (name) => read(into, name))
      const unit = unitOf(place, ["a", "b", "c"], { conflict: "overwrite", waits: false })

      const refused = yield* copy(place, unit, {}, false)
      if (Option.isSome(refused)) {
        assert.deepStrictEqual([refused.value.copied, restOf(refused.value)], [0, ["a", "b", "c"]])
      }
      assert.deepStrictEqual(yield* texts, ["old", "other", "old", "old"])
      assert.deepStrictEqual(yield* namesIn(into), ["a", "b", "c", "kept"])

      const copied = yield* copy(place, unit)
      if (Option.isNone(copied)) return
      assert.deepStrictEqual([copied.value.copied, copied.value.bytes], [3, 14])
      assert.deepStrictEqual(yield* texts, ["0123456789", "", "abcd", "old"])
      assert.deepStrictEqual(yield* namesIn(into), ["a", "b", "c", "kept"])
      const [a, there] = [yield* place.folder.lstat(n("a")), yield* into.lstat(n("a"))]
      assert.strictEqual(there.mode, a.mode)
      isClose(there.modifiedNanos, a.modifiedNanos)
    }))

  test("stops between two files, and within one of which nothing is left then", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      yield* write(place.folder, "large", "x".repeat(600_000))
      const into = yield* place.files.folder(place.at("into"))
      // Before each but the first, and between pieces.
      for (const [asked, names] of [[0, ["a"]], [1, ["a"]], [2, ["a"]], [3, ["a", "large"]]] as const) {
        let left: number = asked
        const copied = yield* copy(place, unitOf(place, ["a", "large", "b"]), { mayGoOn: () => left-- > 0 })
        if (Option.isNone(copied)) return
        assert.deepStrictEqual([copied.value.copied, copied.value.left], [names.length, 3 - names.length])
        assert.deepStrictEqual(yield* namesIn(into), Array.from(names))
        for (const name of names) yield* into.unlink(n(name))
      }
      const onlyLarge = { path: "", names: ["large"], folders: [], sizes: [] }
      // The first would be begun again, and have no more time then.
      const long = yield* copy(place, unitOf(place, ["large", "b"]), { mayGoOn: () => false })
      if (Option.isSome(long)) assert.deepStrictEqual<unknown>([long.value.rest, long.value.left], [[onlyLarge], 1])
      const some = yield* copy(place, unitOf(place, ["a", "large", "b"], { mostBytes: 10 }))
      if (Option.isSome(some)) assert.deepStrictEqual([some.value.copied, some.value.left], [1, 2])
    }))

  test("gives no copy its name before it is told to, and none that was dropped", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      const unit = unitOf(place, ["a", "b", "c"])
      const into = yield* place.files.folder(place.at("into"))
      const filled = yield* place.atOnce((calls) => now(fill, calls, unit, freely))
      if (Option.isNone(filled)) return
      assert.deepStrictEqual(yield* namesIn(into), [draft])
      const settled = yield* place.atOnce((calls) => settleAll(calls, unit, filled.value, { dropped: [1] }))
      if (Option.isNone(settled)) return
      assert.deepStrictEqual(settled.value.placed, [0, 2])
      assert.deepStrictEqual(yield* namesIn(into), ["a", "c"])
      assert.deepStrictEqual([yield* read(into, "a"), yield* read(into, "c")], ["0123456789", "abcd"])
      assert.deepStrictEqual(restOf(resultOf(filled.value, settled.value).result), ["b"])
    }))

  test("gives no copy its name that is not what its source is", (place) =>
    Effect.gen(function*() {
      const { at, files, folder } = place
      yield* plant(folder)
      yield* folder.makeFolder(n("tree"))
      yield* write(yield* files.folder(at("tree")), "in", "text")
      for (const areFolders of [false, true]) {
        const unit = unitOf(place, areFolders ? ["tree"] : ["a", "b", "c"], { areFolders, isVerified: true })
        const filled = yield* place.atOnce((calls) => now(fill, calls, unit, freely))
        if (Option.isNone(filled)) return
        const copies = yield* files.folder(at(`into/${draft}`))
        // What is read from the device has to be there.
        const inFolder = areFolders ? yield* copies.folder(n("0")) : copies
        for (const name of yield* namesIn(inFolder)) {
          yield* Effect.scoped(Effect.flatMap(inFolder.open(FilePath.make(name)), (file) => file.sync))
        }
        const changed = areFolders ? yield* inFolder.update(n("in")) : yield* inFolder.update(n("2"))
        const { accessedNanos, modifiedNanos } = yield* changed.stat
        yield* changed.writeAt(bytes("x"), 1)
        yield* changed.setTimes({ accessedNanos, modifiedNanos })
        yield* changed.sync
        const settled = yield* place.atOnce((calls) => settleAll(calls, unit, filled.value))
        if (Option.isNone(settled)) return
        assert.deepStrictEqual([settled.value.placed, settled.value.verified], areFolders ? [[], 0] : [[0, 1], 2])
      }
      assert.deepStrictEqual(yield* Effect.flatMap(files.folder(at("into")), namesIn), ["a", "b"])
    }))

  test("copies folders with all that is in them, into those that are there", (place) =>
    Effect.gen(function*() {
      const { at, files, folder } = place
      yield* plant(folder)
      for (const name of ["tree", "tree/sub", "tree/empty", "into/tree"]) {
        const path = at(name)
        yield* (yield* files.folder(FilePath.parent(path))).makeFolder(FilePath.name(path))
      }
      yield* write(yield* files.folder(at("tree")), "one", "1")
      const sub = yield* files.folder(at("tree/sub"))
      yield* write(sub, "two", "22")
      yield* sub.makeLink(n("../one"), n("link"))
      for (const [name, mode] of [["tree/sub", 0o500], ["tree/empty", 0o750], ["tree", 0o755]] as const) {
        const itself = yield* files.open(at(name))
        yield* itself.setMode(mode)
        yield* itself.setTimes(times)
      }
      const copied = yield* copy(place, unitOf(place, ["tree", "nothing", "a"], { areFolders: true }))
      if (Option.isNone(copied)) return
      assert.deepStrictEqual(
        [copied.value.copied, copied.value.linked, copied.value.ended, restOf(copied.value)],
        [2, 1, 3, ["nothing", "a"]]
      )
      const into = yield* files.folder(at("into"))
      assert.deepStrictEqual(yield* namesIn(into), ["tree"])
      assert.deepStrictEqual(yield* namesIn(yield* files.folder(at("into/tree"))), ["empty", "one", "sub"])
      assert.deepStrictEqual(yield* namesIn(yield* files.folder(at("into/tree/sub"))), ["link", "two"])
      for (const name of ["tree", "tree/sub", "tree/empty"]) {
        const [source, there] = [yield* files.lstat(at(name)), yield* files.lstat(at(`into/${name}`))]
        assert.strictEqual(there.mode, source.mode, name)
        isClose(there.modifiedNanos, source.modifiedNanos)
      }
      // Or nobody but root could remove it.
      for (const name of ["tree/sub", "into/tree/sub"]) yield* (yield* files.open(at(name))).setMode(0o700)
    }))
}

/** Comparing of what is in folders. */
const comparingTests = (test: Test) => {
  const plant = Effect.fnUntraced(function*({ at, files, folder }: Place) {
    const texts = {
      same: ["0123456789", "0123456789"],
      differs: ["01234567x9", "0123456789"],
      shorter: ["0123", "012345"],
      empty: ["", ""],
      large: ["x".repeat(20), "y".repeat(20)],
      other: ["text", "text"]
    }
    for (const [index, tree] of ["A", "B"].entries()) {
      yield* folder.makeFolder(n(tree))
      const inner = yield* files.folder(at(tree))
      for (const [name, both] of Object.entries(texts)) {
        yield* write(inner, name, both[index] ?? "")
        yield* setTimes(inner, n(name), times)
      }
      yield* Effect.scoped(Effect.flatMap(inner.open(n("other")), (file) => file.setMode(0o640 + index)))
      yield* inner.makeFolder(n("folder"))
      yield* write(yield* files.folder(at(`${tree}/folder`)), "inner", "in")
      yield* inner.makeFolder(n(`only in ${tree}`))
      yield* inner.makeLink(n("same"), n("link"))
      yield* inner.makeLink(n(`to ${tree}`), n("elsewhere"))
      yield* inner.makeLink(n("folder"), n("linked"))
      for (const name of ["folder", "link", "elsewhere", "linked"]) yield* setTimes(inner, n(name), times)
      yield* setTimes(folder, n(tree), times)
    }
    yield* (yield* files.folder(at("A"))).link(n("same"), n("shared"))
    yield* (yield* files.folder(at("A"))).link(n("same"), n("shared"), yield* files.folder(at("B")))
    yield* (yield* files.folder(at("A"))).makeLink(n("same"), n("mixed"))
    yield* write(yield* files.folder(at("B")), "mixed", "0123456789")
    for (const tree of ["A", "B"]) yield* setTimes(folder, n(tree), times)
  })
  const compare = (
    { at, atOnce }: Place,
    folders: Readonly<Record<string, ReadonlyArray<string>>>,
    comparer: PairNotes
  ) =>
    atOnce((calls) => {
      const named = Object.entries(folders).map(([path, names]) => ({ path: n(path), names: names.map(n) }))
      return compareNames(calls, { a: at("A"), b: at("B"), folders: named, comparer }, comparer.mayGoOn)
    })

  test("compares what has the same names in two folders, one after the other, what is wanted", (place) =>
    Effect.gen(function*() {
      yield* plant(place)
      const expected: ReadonlyArray<readonly [name: string, ...notes: ReadonlyArray<string>]> = [
        ["", "folder folder"],
        ["same", "10 10", "same, 10"],
        ["differs", "10 10", "from 8 on, 8"],
        ["shorter", "4 6", "from 4 on, 4"],
        ["nothing", "left"],
        ["empty", "0 0", "same, 0"],
        ["large", "20 20"],
        ["other", "4 4", "same, 4"],
        ["folder", "folder folder"],
        ["only in A", "left"],
        ["only in B", "left"],
        ["link", "link link", "same, 0"],
        ["elsewhere", "link link", "from 0 on, 0"],
        ["mixed", "left"],
        ["..", "left"],
        ["shared", "10 10", "same, 0"]
      ]
      const all = new PairNotes()
      const names = expected.map(([name]) => name)
      const count = yield* compare(place, { "": names }, all)
      if (Option.isNone(count)) return assert.deepStrictEqual(all.notes, [])
      assert.strictEqual(count.value, names.length)
      assert.deepStrictEqual(all.notes, expected.flatMap(([, ...notes]) => notes))
    }))

  test("leaves pairs of which one must not be opened", (place) =>
    Effect.gen(function*() {
      yield* plant(place)
      const { at, files } = place
      const inodes = new Set([(yield* files.lstat(at("A/same"))).inode, (yield* files.lstat(at("B/differs"))).inode])
      const careful = Object.assign(new PairNotes(), {
        mayOpen: ({ inode }: Files.FileStat) => !inodes.has(inode)
      })
      const names = ["same", "differs", "empty", "link", "only in A"]
      const count = yield* compare(place, { "": names }, careful)
      if (Option.isNone(count)) return
      assert.strictEqual(count.value, names.length)
      assert.deepStrictEqual(careful.notes, [
        "left",
        "left",
        "0 0",
        "same, 0",
        "link link",
        "same, 0",
        "left"
      ])
    }))

  test("compares in folders, and leaves all names of those that it can't open in both trees", (place) =>
    Effect.gen(function*() {
      yield* plant(place)
      const all = new PairNotes()
      const folders = {
        folder: ["", "inner"],
        "only in A": ["", "a"],
        "only in B": ["b"],
        linked: ["inner"],
        same: ["c"],
        "": ["empty"]
      }
      const count = yield* compare(place, folders, all)
      if (Option.isNone(count)) return
      assert.strictEqual(count.value, 8)
      assert.deepStrictEqual(all.notes.splice(0, 3), ["folder folder", "2 2", "same, 2"])
      const left = Array.from({ length: 5 }, () => "left")
      assert.deepStrictEqual(all.notes, [...left, "0 0", "same, 0"])
    }))

  test("stops between two that it compares", (place) =>
    Effect.gen(function*() {
      yield* plant(place)
      // Before each but the first.
      let left = 1
      const some = new PairNotes(() => left-- > 0)
      const count = yield* compare(place, { "": ["same", "empty", "large"], folder: ["inner"] }, some)
      if (Option.isNone(count)) return
      assert.strictEqual(count.value, 2)
      assert.deepStrictEqual(some.notes, ["10 10", "same, 10", "0 0", "same, 0"])
    }))
}

/** Removing of folders with all that is below them, and of the files in folders. */
const removalTests = (test: Test) => {
  const all = ["a", "linked", "none", "sub", "sub/c", "sub/deep", "sub/deep/d"]
  /** Names below a folder. */
  const below: (folder: Files.Folder) => Effect.Effect<ReadonlyArray<string>, unknown> = Effect.fnUntraced(
    function*(folder) {
      const names: Array<string> = []
      for (const [name, kind] of yield* entriesOf(folder)) {
        names.push(name)
        if (kind !== "folder") continue
        const inner = yield* Effect.scoped(Effect.flatMap(folder.folder(n(name)), below))
        names.push(...inner.map((one) => `${name}/${one}`))
      }
      return names
    }
  )
  /** Removes a tree of that, and tells what that came to, and what is left of it. */
  const sweep = Effect.fnUntraced(function*({ at, atOnce, files, folder }: Place, broom: Broom) {
    for (const name of ["out", "tree", "tree/none", "tree/sub", "tree/sub/deep"]) {
      const [last = "", ...above] = name.split("/").toReversed()
      const parent = yield* files.folder(above.length === 0 ? folder.path : at(above.toReversed().join("/")))
      yield* parent.makeFolder(n(last))
    }
    yield* write(yield* files.folder(at("out")), "kept", "text")
    const tree = yield* files.folder(at("tree"))
    yield* tree.makeLink(n("../out"), n("linked"))
    yield* write(tree, "a", "text")
    yield* write(yield* files.folder(at("tree/sub")), "c", "text")
    yield* write(yield* files.folder(at("tree/sub/deep")), "d", "text")
    assert.deepStrictEqual(yield* below(tree), all)
    const swept = yield* atOnce((calls, parent) => now(removeTree, calls, parent, n("tree"), broom, mostDeep))
    const isGone = Option.isNone(yield* folder.find(n("tree")))
    const left = isGone ? undefined : yield* Effect.flatMap(files.folder(at("tree")), below)
    assert.deepStrictEqual(yield* Effect.flatMap(files.folder(at("out")), below), ["kept"])
    if (Option.isNone(swept)) assert.deepStrictEqual([left, broom.removed], [all, { names: 0, folders: 0 }])
    return Option.map(swept, (isThrough) => ({ isThrough, left, ...broom.removed }))
  })
  const isSwept = (swept: Effect.Success<ReturnType<typeof sweep>>, expected: Option.Option.Value<typeof swept>) => {
    if (Option.isSome(swept)) assert.deepStrictEqual(swept.value, expected)
  }

  test("removes a folder with all that is below it, and nothing that links lead to", (place) =>
    Effect.gen(function*() {
      isSwept(yield* sweep(place, new Broom()), { isThrough: true, left: undefined, names: 4, folders: 4 })
    }))

  test("leaves what is to be left of a tree, with what that is in", (place) =>
    Effect.gen(function*() {
      const swept = yield* sweep(place, new Broom({ isLeft: ["tree/sub/c"] }))
      isSwept(swept, { isThrough: true, left: ["sub", "sub/c"], names: 3, folders: 2 })
    }))

  test("goes into no folder of a tree that it may not", (place) =>
    Effect.gen(function*() {
      const swept = yield* sweep(place, new Broom({ begin: ["tree/sub"] }))
      isSwept(swept, { isThrough: true, left: ["sub", "sub/c", "sub/deep", "sub/deep/d"], names: 2, folders: 1 })
    }))

  test("stops in a tree before the next folder", (place) =>
    Effect.gen(function*() {
      const swept = yield* sweep(place, new Broom({ most: 2 }))
      isSwept(swept, { isThrough: false, left: all.slice(2), names: 2, folders: 0 })
    }))

  test("removes no tree that is none, and nothing too deep in one", ({ at, atOnce, files, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("out"))
      yield* write(folder, "file", "text")
      yield* folder.makeLink(n("out"), n("linked"))
      const remove = (name: string) =>
        atOnce((calls, parent) => now(removeTree, calls, parent, n(name), new Broom(), mostDeep))
      yield* folder.makeFolder(n("inner"))
      yield* (yield* files.folder(at("inner"))).makeFolder(n("kept"))
      for (const name of ["nothing", "file", "linked", "..", ".", "", "inner/kept"]) yield* remove(name)
      assert.deepStrictEqual(yield* namesIn(folder), ["file", "inner", "linked", "out"])
      assert.deepStrictEqual(yield* Effect.flatMap(files.folder(at("inner")), namesIn), ["kept"])
      let path = "out"
      for (let depth = 0; depth <= mostDeep; depth++) {
        yield* (yield* files.folder(at(path))).makeFolder(n("in"))
        path += "/in"
      }
      const swept = yield* remove("out")
      if (Option.isSome(swept)) assert.isTrue(swept.value)
      assert.isTrue(Option.isSome(yield* folder.find(n("out"))))
    }))

  /** Removes folders without those in them, and counts those that were come to. */
  const removingEach = (names: ReadonlyArray<FilePath.FilePath>, broom: Broom) => (calls: Calls, folder: number) => {
    const stopped = names.findIndex((name) => !now(removeTree, calls, folder, name, broom, 0))
    return stopped < 0 ? names.length : stopped
  }

  test("empties folders one after the other, leaves what it is told to, and folders", ({ atOnce, folder }) =>
    Effect.gen(function*() {
      const names = ["empty", "\xff", "kept", "left", "nested", "other"]
      for (const name of names) yield* folder.makeFolder(n(name))
      for (const name of names.slice(1)) {
        const inner = yield* folder.folder(n(name))
        for (const file of ["a", "\xfe", "b"]) yield* write(inner, file, "")
        yield* inner.makeLink(n("../other"), n("link"))
        if (name === "nested") yield* inner.makeFolder(n("inner"))
      }
      yield* write(folder, "file", "")
      yield* folder.makeLink(n("other"), n("link"))
      const sweeper = new Broom({ begin: ["left"], isLeft: ["kept/b"] })

      const swept = ["empty", "\xff", "kept", "left", "nested", "file", "link", "nothing", ""].map(n)
      const count = yield* atOnce(removingEach(swept, sweeper))
      if (Option.isNone(count)) return
      assert.strictEqual(count.value, swept.length)
      assert.deepStrictEqual(sweeper.removed, { names: 11, folders: 2 })
      const left = (name: string) => Effect.scoped(Effect.flatMap(folder.folder(n(name)), namesIn))
      assert.deepStrictEqual(yield* namesIn(folder), ["file", "kept", "left", "link", "nested", "other"])
      assert.deepStrictEqual(yield* left("kept"), ["b"])
      assert.deepStrictEqual(yield* left("left"), ["a", "b", "link", n("\xfe")])
      assert.deepStrictEqual(yield* left("nested"), ["inner"])
      assert.deepStrictEqual(yield* left("other"), ["a", "b", "link", n("\xfe")])
    }))

  test("empties folders until it must not go on", ({ atOnce, folder }) =>
    Effect.gen(function*() {
      for (const name of ["a", "b", "c"]) {
        yield* folder.makeFolder(n(name))
        const inner = yield* folder.folder(n(name))
        for (let i = 0; i < 100; i++) yield* write(inner, String(i), "")
      }
      const names = ["a", "b", "c"].map(n)
      const sweeper = new Broom({ most: 150 })

      const counts = yield* atOnce((calls, parent) =>
        [names, names.slice(1)].map((names) => removingEach(names, sweeper)(calls, parent))
      )
      if (Option.isNone(counts)) return
      assert.deepStrictEqual(counts.value, [1, 0])
      const { folders, names: removed } = sweeper.removed
      assert.strictEqual(folders, 1)
      assert.isAtLeast(removed, 150)
      assert.isBelow(removed, 200)
      const goesOn = new Broom()
      const rest = yield* atOnce(removingEach(names.slice(1), goesOn))
      if (Option.isNone(rest)) return
      assert.deepStrictEqual([rest.value, goesOn.removed], [2, { names: 300 - removed, folders: 2 }])
      assert.deepStrictEqual(yield* namesIn(folder), [])
    }))

  test("empties a folder of more names than it is told at a time", ({ atOnce, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("many"))
      const inner = yield* folder.folder(n("many"))
      const long = "a long name, of which few fit ".repeat(4)
      for (let i = 0; i < 2500; i++) yield* inner.makeLink(n("x"), n(`${long}${i}`))
      const sweeper = new Broom()

      const count = yield* atOnce(removingEach([n("many")], sweeper))
      if (Option.isNone(count)) return
      assert.strictEqual(count.value, 1)
      assert.deepStrictEqual(sweeper.removed, { names: 2500, folders: 1 })
      assert.deepStrictEqual(yield* namesIn(folder), [])
    }))
}

const readingTests = (test: Test) => {
  test("reads files one after the other, those that are wanted", ({ at, atOnce, files, folder }) =>
    Effect.gen(function*() {
      for (
        const [name, text] of [["a", "0123456789"], ["b", ""], ["c", "abcd"], ["d", "xyz"], [
          "large",
          "x".repeat(20)
        ]] as const
      ) {
        yield* write(folder, name, text)
      }
      yield* folder.makeFolder(n("folder"))
      yield* write(yield* files.folder(at("folder")), "e", "in")
      yield* folder.makeLink(n("a"), n("link"))
      const readIn = (folders: ReadonlyArray<Files.FilesIn>, reader: Reader) =>
        atOnce((calls) => readFiles(calls, folders, reader, reader.mayGoOn))
      const readEach = (names: ReadonlyArray<string>, reader: Reader) =>
        readIn([{ path: folder.path, names: names.map(n) }], reader)
      const names = ["a", "nothing", "b", "folder", "large", "link", "d", "..", "c"]
      const all = new Notes()
      const count = yield* readEach(names, all)
      if (Option.isNone(count)) return
      assert.strictEqual(count.value, names.length)
      assert.deepStrictEqual(all.notes, [
        "begin 10",
        "0123",
        "4567",
        "89",
        "end",
        "open nothing ENOENT",
        "begin 0",
        "end",
        "begin folder",
        "begin 20",
        "open link ELOOP",
        "begin 3",
        "xyz",
        "end",
        "open .. EINVAL",
        "begin 4",
        "abcd",
        "end"
      ])
      // Nothing is told of those that must not be opened.
      const { inode } = yield* folder.lstat(n("a"))
      const careful = Object.assign(new Notes(), { mayOpen: (stat: Files.FileStat) => stat.inode !== inode })
      assert.deepStrictEqual(yield* readEach(["a", "d"], careful), Option.some(2))
      assert.deepStrictEqual(careful.notes, ["begin 3", "xyz", "end"])
      // Before each file but the first, and between pieces.
      let left = 2
      const some = new Notes(() => left-- > 0)
      assert.deepStrictEqual(yield* readEach(["b", "a", "c"], some), Option.some(1))
      assert.deepStrictEqual(some.notes, ["begin 0", "end", "begin 10", "0123", "4567"])
      assert.deepStrictEqual(yield* readEach([], some), Option.some(0))
      // All of a folder that can't be opened counts.
      const each = new Notes()
      const folders = [["nothing", "a", "b"], ["folder"], ["", "c"], ["folder", "e"]] as const
      const named = folders.map(([folder, ...names]) => ({ path: at(folder), names: names.map(n) }))
      assert.deepStrictEqual(yield* readIn(named, each), Option.some(4))
      assert.deepStrictEqual(each.notes, [
        "open nothing ENOENT",
        "open nothing ENOENT",
        "begin 4",
        "abcd",
        "end",
        "begin 2",
        "in",
        "end"
      ])
      let leftOfFirst = 1
      const first = new Notes(() => leftOfFirst-- > 0)
      assert.deepStrictEqual(yield* readIn(named.slice(2), first), Option.some(1))
    }))

  test("reads back what was written, under any name", ({ at, files, folder }) =>
    Effect.gen(function*() {
      for (const name of ["plain", "caf\xc3\xa9", "\xff\xfe", "\n \\", "-", "...", "x".repeat(255)]) {
        yield* write(folder, name, `content of ${name}`)
        assert.strictEqual(yield* read(folder, name), `content of ${name}`)
        assert.strictEqual(yield* Effect.flatMap(files.open(at(name)), contentOf), `content of ${name}`)
        assert.strictEqual((yield* folder.lstat(n(name))).sizeBytes, 11 + name.length)
        assert.strictEqual((yield* files.lstat(at(name))).sizeBytes, 11 + name.length)
      }
    }))

  test("reads at any place, and then goes on where it stood", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "0123456789")
      const file = yield* folder.open(n("file"))
      const buffer = Buffer.alloc(4)
      const text = (length: number) => buffer.toString("latin1", 0, length)

      assert.strictEqual(text(yield* file.readAt(buffer, 3)), "3456")
      assert.strictEqual(text(yield* file.read(buffer)), "0123")
      assert.strictEqual(text(yield* file.readAt(buffer, 8)), "89")
      assert.strictEqual(yield* file.readAt(buffer, 10), 0)
      assert.strictEqual(text(yield* file.read(buffer)), "4567")
    }))

  test("names the file system of its files alike, where anything names it", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "")
      yield* write(folder, "other", "")
      const file = yield* folder.open(n("file"))
      const other = yield* folder.open(n("other"))
      assert.deepStrictEqual(yield* file.fileSystem, yield* other.fileSystem)
      yield* file.close
      assert.strictEqual(yield* code(file.fileSystem), "EBADF")
    }))

  test("lists every name with its kind, sorted by bytes", ({ files, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("folder"))
      yield* write(folder, "\xff", "")
      yield* write(folder, "a.txt", "")
      yield* write(folder, "a", "")
      yield* folder.makeLink(n("nowhere"), n("\xc3\xa9"))
      const expected: ReadonlyArray<readonly [string, string]> = [
        ["a", "file"],
        ["a.txt", "file"],
        ["folder", "folder"],
        ["é", "link"],
        ["\udcff", "file"]
      ]

      assert.deepStrictEqual(entriesIn(yield* files.list(folder.path)), expected)
      assert.deepStrictEqual(yield* entriesOf(folder), expected)
    }))

  test("lists what is in a folder now, each time", ({ folder }) =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* namesIn(folder), [])
      yield* write(folder, "a", "")
      assert.deepStrictEqual(yield* namesIn(folder), ["a"])
      yield* write(folder, "b", "")
      assert.deepStrictEqual(yield* namesIn(folder), ["a", "b"])
      yield* folder.unlink(n("a"))
      assert.deepStrictEqual(yield* namesIn(folder), ["b"])
    }))

  test("finds nothing where there is nothing", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "")
      for (const path of [at("nothing"), at("file/below"), at("nothing/below"), FilePath.empty]) {
        assert.isTrue(Option.isNone(yield* files.find(path)))
      }
      assert.isTrue(Option.isNone(yield* folder.find(n("nothing"))))
      assert.isTrue(Option.isSome(yield* files.find(at("file"))))
      assert.isTrue(Option.isSome(yield* folder.find(n("file"))))
      for (const lstat of [files.lstat(at("nothing")), folder.lstat(n("nothing"))]) {
        const error = yield* Effect.flip(lstat)
        assert.strictEqual(error.code, "ENOENT")
        assert.strictEqual(
          error.message,
          `Could not look at "${FilePath.display(at("nothing"))}": it does not exist (ENOENT)`
        )
      }
    }))

  test("tells links from what they lead to", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "four")
      yield* folder.makeLink(n("./file"), n("link"))

      for (const lstat of [folder.lstat(n("link")), files.lstat(at("link"))]) {
        assert.strictEqual((yield* lstat).kind, "link")
        assert.strictEqual((yield* lstat).sizeBytes, 6)
      }
      assert.strictEqual((yield* files.stat(at("link"))).inode, (yield* folder.lstat(n("file"))).inode)
      assert.strictEqual(yield* folder.readLink(n("link")), n("./file"))
      assert.strictEqual(yield* files.realPath(at("link")), yield* files.realPath(at("file")))
      assert.strictEqual(yield* code(folder.readLink(n("file"))), "EINVAL")
    }))

  test("keeps the bytes of a link's target", ({ folder }) =>
    Effect.gen(function*() {
      const target = n("\xff/\xc3\xa9 \n")
      yield* folder.makeLink(target, n("link"))
      assert.strictEqual(yield* folder.readLink(n("link")), target)
    }))

  test("says the same of a folder by its path, its name and its handle", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("inner"))
      const inner = yield* folder.folder(n("inner"))

      assert.strictEqual(inner.path, at("inner"))
      assert.deepStrictEqual(yield* inner.stat, yield* folder.lstat(n("inner")))
      assert.deepStrictEqual(yield* inner.stat, yield* files.lstat(at("inner")))
      assert.deepStrictEqual(yield* inner.stat, yield* (yield* files.folder(at("inner"))).stat)
      assert.deepStrictEqual(yield* inner.stat, yield* (yield* folder.open(n("inner"))).stat)
    }))
}

const changingTests = (test: Test) => {
  test("creates what only its owner may use, and nothing over what exists", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "old")
      yield* folder.makeFolder(n("folder"))
      yield* folder.makeLink(n("nowhere"), n("link"))

      assert.strictEqual((yield* folder.lstat(n("file"))).mode, 0o600)
      assert.strictEqual((yield* folder.lstat(n("folder"))).mode & 0o777, 0o700)
      for (const name of ["file", "folder", "link"]) {
        assert.strictEqual(yield* code(folder.create(n(name))), "EEXIST")
        assert.strictEqual(yield* code(folder.makeFolder(n(name))), "EEXIST")
        assert.strictEqual(yield* code(folder.makeLink(n("x"), n(name))), "EEXIST")
      }
      assert.strictEqual(yield* read(folder, "file"), "old")
      assert.isTrue(Option.isNone(yield* folder.find(n("nowhere"))))
    }))

  test("sets mode and times of files, folders and links", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "")
      yield* folder.makeFolder(n("folder"))
      yield* folder.makeLink(n("file"), n("link"))

      yield* Effect.scoped(Effect.gen(function*() {
        for (const name of ["file", "folder"]) {
          const file = yield* folder.open(n(name))
          yield* file.setMode(0o2751)
          yield* file.setTimes(times)
        }
      }))
      yield* setTimes(folder, n("link"), times)

      for (const name of ["file", "folder", "link"]) {
        const stat = yield* folder.lstat(n(name))
        if (name !== "link") assert.strictEqual(stat.mode, 0o2751)
        isClose(stat.modifiedNanos, times.modifiedNanos)
        if (name !== "folder") isClose(stat.accessedNanos, times.accessedNanos)
      }
    }))

  test("sets times before 1970 and after 2038", ({ folder }) =>
    Effect.gen(function*() {
      yield* folder.makeLink(n("nowhere"), n("link"))
      for (const modifiedNanos of [-1_500_000_000n, -1n, 0n, 4_294_967_296_000_000_000n]) {
        const name = n(`file ${modifiedNanos}`)
        const file = yield* folder.create(name)
        const set = { accessedNanos: modifiedNanos, modifiedNanos }
        yield* file.setTimes(set)
        yield* setTimes(folder, n("link"), set)
        isClose((yield* file.stat).modifiedNanos, modifiedNanos)
        isClose((yield* folder.lstat(name)).modifiedNanos, modifiedNanos)
        isClose((yield* folder.lstat(n("link"))).modifiedNanos, modifiedNanos)
      }
    }))

  test("tells of every change, whatever times are set", ({ folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      const changes = [
        file.write(bytes("x")),
        file.setMode(0o640),
        file.setTimes(times),
        setTimes(folder, n("file"), times)
      ]
      for (const change of changes) {
        const { changedNanos: before } = yield* file.stat
        // The clock of a file system may stand still for some milliseconds.
        let tries = 0
        for (let now = before; now === before && tries < 20_000; tries++) {
          yield* change
          now = (yield* file.stat).changedNanos
          assert.isTrue(now >= before)
        }
        assert.isBelow(tries, 20_000)
      }
    }))

  test("renames over a file, a link, and no folder", ({ folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("folder"))
      yield* write(folder, "old", "old")
      yield* folder.makeLink(n("old"), n("link"))
      yield* write(folder, "new", "new")

      assert.include(["EISDIR", "EEXIST", "ENOTEMPTY"], yield* code(folder.rename(n("new"), n("folder"))))
      yield* folder.rename(n("new"), n("link"))
      assert.strictEqual(yield* read(folder, "link"), "new")
      assert.strictEqual(yield* read(folder, "old"), "old")
      yield* folder.rename(n("link"), n("old"))
      assert.strictEqual(yield* read(folder, "old"), "new")
      assert.deepStrictEqual(yield* namesIn(folder), ["folder", "old"])
    }))

  test("links a file, or a link itself, under a free name only", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "text")
      yield* folder.makeLink(n("file"), n("link"))

      yield* folder.link(n("file"), n("second"))
      yield* folder.link(n("link"), n("second link"))

      assert.strictEqual((yield* folder.lstat(n("second"))).inode, (yield* folder.lstat(n("file"))).inode)
      assert.strictEqual((yield* folder.lstat(n("second link"))).kind, "link")
      assert.strictEqual(yield* code(folder.link(n("file"), n("link"))), "EEXIST")
    }))

  test("removes files and links, and no folder", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "")
      yield* folder.makeLink(n("folder"), n("link"))
      yield* folder.makeFolder(n("folder"))

      yield* folder.unlink(n("link"))
      yield* folder.unlink(n("file"))

      assert.include(["EISDIR", "EPERM"], yield* code(folder.unlink(n("folder"))))
      assert.strictEqual(yield* code(folder.unlink(n("file"))), "ENOENT")
      assert.deepStrictEqual(yield* namesIn(folder), ["folder"])
    }))

  test("removes folders that are empty, and nothing else", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "")
      yield* folder.makeFolder(n("folder"))
      yield* folder.makeLink(n("folder"), n("link"))
      const inner = yield* folder.folder(n("folder"))
      yield* write(inner, "file", "")

      assert.include(["ENOTEMPTY", "EEXIST"], yield* code(folder.removeFolder(n("folder"))))
      assert.strictEqual(yield* code(folder.removeFolder(n("file"))), "ENOTDIR")
      assert.strictEqual(yield* code(folder.removeFolder(n("link"))), "ENOTDIR")
      assert.strictEqual(yield* code(folder.removeFolder(n("nothing"))), "ENOENT")
      yield* inner.unlink(n("file"))
      yield* folder.removeFolder(n("folder"))

      assert.deepStrictEqual(yield* namesIn(folder), ["file", "link"])
      assert.strictEqual(yield* code(inner.create(n("file"))), "ENOENT")
    }))
}

const confinementTests = (test: Test) => {
  test("lists the folders in a folder, and tells how much else is in it", ({ at, files, folder }) =>
    Effect.gen(function*() {
      for (const name of ["b", "\xff", "a"]) yield* folder.makeFolder(n(name))
      for (const name of ["file", "a.txt"]) yield* write(folder, name, "")
      yield* folder.makeLink(n("a"), n("link"))

      const { identity, listing, others } = yield* files.folders(folder.path)

      assert.deepStrictEqual(entriesIn(listing), [["a", "folder"], ["b", "folder"], [n("\xff"), "folder"]])
      assert.strictEqual(others, 3)
      assert.deepStrictEqual(identity, yield* folder.identity)
      assert.strictEqual((yield* files.folders(at("a"))).listing.size, 0)
      assert.strictEqual(yield* code(files.folders(at("file"))), "ENOTDIR")
      assert.include(["ELOOP", "ENOTDIR"], yield* code(files.folders(at("link"))))
      assert.include(["ELOOP", "ENOTDIR"], yield* code(files.folders(at("link/inner"))))
      assert.strictEqual(yield* code(files.folders(at("nothing"))), "ENOENT")
    }))

  test("tells a folder from others, whatever it is called", ({ at, files, folder }) =>
    Effect.gen(function*() {
      const identityAt = (name: string) =>
        Effect.scoped(Effect.flatMap(files.folder(at(name)), ({ identity }) => identity))
      yield* folder.makeFolder(n("a"))
      yield* folder.makeFolder(n("b"))
      const own = yield* identityAt("a")
      const stat = yield* folder.lstat(n("a"))

      assert.deepStrictEqual([own.device, own.inode], [stat.device, stat.inode])
      assert.isTrue(Files.isOnSame(own, yield* folder.identity))
      assert.notDeepEqual(yield* identityAt("b"), own)
      yield* folder.rename(n("a"), n("c"))
      assert.deepStrictEqual(yield* identityAt("c"), own)
    }))

  test("lists and opens only folders, and no link to one", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("folder"))
      yield* folder.makeLink(at("folder"), n("link"))
      yield* write(folder, "file", "")

      assert.strictEqual((yield* files.list(at("folder"))).size, 0)
      for (const [name, expected] of [["link", "ENOTDIR"], ["file", "ENOTDIR"], ["nothing", "ENOENT"]] as const) {
        const allowed = name === "link" ? ["ENOTDIR", "ELOOP"] : [expected]
        assert.include(allowed, yield* code(files.list(at(name))))
        assert.include(allowed, yield* code(files.folder(at(name))))
        assert.strictEqual(yield* code(folder.folder(n(name))), expected)
      }
    }))

  test("follows no link in any component", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("outside"))
      const outside = yield* folder.folder(n("outside"))
      yield* outside.makeFolder(n("inner"))
      yield* write(outside, "file", "secret")
      yield* write(yield* outside.folder(n("inner")), "file", "secret")
      yield* folder.makeLink(at("outside"), n("link"))
      yield* folder.makeLink(n("outside/file"), n("to file"))

      for (const path of ["link/inner", "link/inner/"]) {
        assert.include(["ENOTDIR", "ELOOP"], yield* code(files.folder(at(path))))
        assert.include(["ENOTDIR", "ELOOP"], yield* code(files.list(at(path))))
      }
      for (const path of ["link/file", "link/inner/file"]) {
        assert.include(["ENOTDIR", "ELOOP"], yield* code(files.open(at(path))))
      }
      assert.strictEqual(yield* code(files.open(at("to file"))), "ELOOP")
      assert.strictEqual(yield* code(files.open(at("link"))), "ELOOP")
      assert.strictEqual(yield* code(folder.open(n("to file"))), "ELOOP")
      assert.strictEqual(yield* code(folder.open(n("link"))), "ELOOP")
      // What a person names may lead through links.
      assert.strictEqual((yield* files.lstat(at("link/file"))).kind, "file")
      assert.isTrue(Option.isSome(yield* files.find(at("link/file"))))
      assert.strictEqual(yield* files.realPath(at("link/file")), at("outside/file"))
    }))

  test("changes what has the name, never what a link leads to", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "text")
      yield* folder.makeLink(n("file"), n("link"))
      const before = yield* folder.lstat(n("file"))

      yield* setTimes(folder, n("link"), times)
      yield* folder.rename(n("link"), n("renamed"))
      yield* folder.unlink(n("renamed"))

      assert.deepStrictEqual(yield* folder.lstat(n("file")), before)
    }))

  test("takes names of one component only", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "")
      yield* folder.makeFolder(n("inner"))
      yield* write(yield* folder.folder(n("inner")), "file", "")

      for (const name of ["", ".", "..", "/", "/etc", "inner/file", "inner/", "./file", "file/", "../x"]) {
        for (const [call, effect] of Object.entries(callsByName(folder, n(name)))) {
          assert.strictEqual(yield* code<unknown, Scope.Scope>(effect), "EINVAL", `${call} "${name}"`)
        }
      }
      for (const [call, effect] of Object.entries(callsByName(folder, n("x".repeat(256))))) {
        assert.strictEqual(yield* code<unknown, Scope.Scope>(effect), "ENAMETOOLONG", call)
      }
      assert.deepStrictEqual(yield* namesIn(folder), ["file", "inner"])
    }))

  test("stays in a folder whose path leads elsewhere by then", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("trap"))
      const trap = yield* folder.folder(n("trap"))
      yield* write(trap, "bait", "trap")
      for (const kind of ["folder", "link"]) {
        yield* folder.makeFolder(n("inner"))
        const inner = yield* folder.folder(n("inner"))
        yield* inner.makeFolder(n("deep"))
        const deep = yield* inner.folder(n("deep"))
        yield* folder.rename(n("inner"), n(`moved by ${kind}`))
        if (kind === "folder") yield* folder.makeFolder(n("inner"))
        else yield* folder.makeLink(n("trap"), n("inner"))

        yield* write(inner, "file", "text")
        yield* write(deep, "file", "text")
        yield* inner.link(n("file"), n("second"))
        yield* inner.rename(n("second"), n("renamed"))
        yield* inner.makeLink(n("x"), n("link"))
        assert.strictEqual(yield* code(inner.unlink(n("bait"))), "ENOENT")

        assert.deepStrictEqual(yield* namesIn(inner), ["deep", "file", "link", "renamed"])
        assert.strictEqual((yield* files.list(at(`moved by ${kind}/deep`))).size, 1)
        if (kind === "folder") {
          assert.strictEqual((yield* files.list(at("inner"))).size, 0)
          yield* folder.removeFolder(n("inner"))
        }
      }
      assert.deepStrictEqual(yield* namesIn(trap), ["bait"])
    }))

  test("works below paths that are too long for the kernel", ({ files, folder }) =>
    Effect.gen(function*() {
      const name = n("long ".repeat(40))
      let deepest = folder
      for (let depth = 0; depth < 25; depth++) {
        const parent = deepest
        yield* parent.makeFolder(name)
        yield* Effect.addFinalizer(() => Effect.ignore(parent.removeFolder(name)))
        deepest = yield* parent.folder(name)
      }
      yield* Effect.addFinalizer(() =>
        Effect.forEach(["file", "link", "second", "unnamed"], (name) => Effect.ignore(deepest.unlink(n(name))))
      )
      assert.isAbove(deepest.path.length, 5000)
      const file = FilePath.join(deepest.path, n("file"))

      yield* write(deepest, "file", "deep")
      yield* deepest.makeLink(n("file"), n("link"))
      yield* deepest.link(n("file"), n("second"))
      yield* setTimes(deepest, n("file"), times)

      assert.strictEqual(yield* read(deepest, "file"), "deep")
      assert.strictEqual(yield* Effect.scoped(Effect.flatMap(files.open(file), contentOf)), "deep")
      assert.strictEqual((yield* files.list(deepest.path)).size, 3)
      const again = yield* files.folder(deepest.path)
      assert.strictEqual((yield* again.stat).inode, (yield* deepest.stat).inode)
      isClose((yield* again.lstat(n("file"))).modifiedNanos, times.modifiedNanos)
      assert.strictEqual(yield* code(files.lstat(file)), "ENAMETOOLONG")
      assert.strictEqual(yield* code(files.open(FilePath.join(deepest.path, n("nothing")))), "ENOENT")
      assert.strictEqual(yield* code(files.open(FilePath.join(file, n("below")))), "ENOTDIR")
      assert.strictEqual(yield* code(files.open(FilePath.join(deepest.path, n("link")))), "ELOOP")
    }))
}

const closingTests = (test: Test) => {
  test("refuses to use a file that was closed", ({ folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      yield* file.close
      const calls = {
        stat: file.stat,
        read: file.read(Buffer.alloc(1)),
        readAt: file.readAt(Buffer.alloc(1), 0),
        write: file.write(bytes("x")),
        setMode: file.setMode(0o644),
        setTimes: file.setTimes(times),
        close: file.close
      }
      for (const [call, effect] of Object.entries(calls)) {
        assert.strictEqual(yield* code<unknown, never>(effect), "EBADF", call)
      }
    }))

  test("closes with a scope what was opened in it, and nothing else", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "text")
      yield* folder.makeFolder(n("inner"))
      const scope = yield* Scope.make()
      const inner = yield* folder.folder(n("inner")).pipe(Scope.provide(scope))
      const opened = yield* Effect.all([
        folder.open(n("file")),
        folder.create(n("created")),
        files.open(at("file"))
      ]).pipe(Scope.provide(scope))
      const created = yield* inner.create(n("file"))
      const own = yield* files.folder(at("inner")).pipe(Scope.provide(scope))

      yield* Scope.close(scope, yield* Effect.exit(Effect.void))

      for (const file of opened) assert.strictEqual(yield* code(file.stat), "EBADF")
      for (const closed of [inner, own]) {
        assert.strictEqual(yield* code(closed.stat), "EBADF")
        assert.strictEqual(yield* code(closed.list), "EBADF")
        assert.strictEqual(yield* code(closed.createUnnamed), "EBADF")
        for (const [call, effect] of Object.entries(callsByName(closed, n("file")))) {
          assert.strictEqual(yield* code<unknown, Scope.Scope>(effect), "EBADF", call)
        }
      }
      // A file does not need its folder any more.
      yield* created.write(bytes("text"))
      assert.strictEqual((yield* files.lstat(at("inner/file"))).sizeBytes, 4)
      assert.strictEqual((yield* folder.lstat(n("file"))).sizeBytes, 4)
    }))
}

const unnamedTests = (test: Test, unnamed: boolean | undefined) => {
  /** Creates a file without a name; `None` where there is no such thing. */
  const createIn = (folder: Files.Folder) =>
    Effect.matchEffect(folder.createUnnamed, {
      onSuccess: (file) => {
        assert.notStrictEqual(unnamed, false)
        return Effect.succeedSome(file)
      },
      onFailure: (error) => {
        assert.strictEqual(error.code, "ENOTSUP")
        assert.notStrictEqual(unnamed, true)
        return Effect.succeedNone
      }
    })

  test("shows nothing of a file without a name before it gets one", ({ folder }) =>
    Effect.gen(function*() {
      const created = yield* createIn(folder)
      assert.deepStrictEqual(yield* namesIn(folder), [])
      if (Option.isNone(created)) return
      const file = created.value

      yield* file.write(bytes("te"))
      yield* file.write(bytes("xt"))
      assert.strictEqual((yield* file.stat).mode, 0o600)
      yield* file.setMode(0o2640)
      yield* file.setTimes(times)
      const before = yield* file.stat
      assert.deepStrictEqual(yield* namesIn(folder), [])
      yield* file.link(n("\xff named"))

      assert.deepStrictEqual(yield* namesIn(folder), ["\udcff named"])
      assert.strictEqual(yield* read(folder, "\xff named"), "text")
      const stat = yield* folder.lstat(n("\xff named"))
      assert.deepStrictEqual(
        [stat.kind, stat.inode, stat.mode, stat.sizeBytes],
        ["file", before.inode, 0o2640, 4]
      )
      isClose(stat.modifiedNanos, times.modifiedNanos)
      assert.deepStrictEqual((yield* file.stat).inode, stat.inode)
    }))

  test("gives a file without a name no name that is taken or none", ({ folder }) =>
    Effect.gen(function*() {
      const created = yield* createIn(folder)
      if (Option.isNone(created)) return
      const file = created.value
      yield* file.write(bytes("text"))
      yield* write(folder, "file", "old")
      yield* folder.makeFolder(n("folder"))
      yield* folder.makeLink(n("nowhere"), n("link"))

      for (const name of ["file", "folder", "link"]) assert.strictEqual(yield* code(file.link(n(name))), "EEXIST")
      for (const name of ["", ".", "..", "folder/x", "/x"]) {
        assert.strictEqual(yield* code(file.link(n(name))), "EINVAL", name)
      }

      assert.deepStrictEqual(yield* namesIn(folder), ["file", "folder", "link"])
      assert.strictEqual(yield* read(folder, "file"), "old")
      yield* file.link(n("free"))
      assert.strictEqual(yield* read(folder, "free"), "text")
    }))

  test("leaves nothing of a file that got no name", ({ folder }) =>
    Effect.gen(function*() {
      const created = yield* Effect.scoped(Effect.tap(createIn(folder), (file) =>
        Option.match(file, {
          onNone: () => Effect.void,
          onSome: (file) => file.write(bytes("text"))
        })))

      assert.deepStrictEqual(yield* namesIn(folder), [])
      if (Option.isNone(created)) {
        return
      }
      assert.strictEqual(yield* code(created.value.write(bytes("x"))), "EBADF")
      assert.strictEqual(yield* code(created.value.link(n("file"))), "EBADF")
      assert.deepStrictEqual(yield* namesIn(folder), [])
    }))

  test("gives a file its name in the folder that it was created in, wherever that is", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("inner"))
      const inner = yield* folder.folder(n("inner"))
      const created = yield* createIn(inner)
      if (Option.isNone(created)) return
      yield* folder.rename(n("inner"), n("moved"))
      yield* folder.makeFolder(n("inner"))

      yield* created.value.link(n("file"))

      assert.deepStrictEqual(yield* namesIn(inner), ["file"])
      assert.strictEqual((yield* files.list(at("inner"))).size, 0)
    }))
}

/** Nothing where the way to call a file system, or the file system, has no such thing. */
const ifSupported = <A, R>(effect: Effect.Effect<A, { readonly code: string }, R>) =>
  Effect.catchIf(
    Effect.asSome(effect),
    (error) => error.code === "ENOTSUP" || error.code === "EOPNOTSUPP",
    () => Effect.succeedNone
  )

/** How content is written, shared and flushed, beside the usual way. */
const contentTests = (test: Test) => {
  test("writes at any place, and cuts off", ({ folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      yield* file.writeAt(bytes("later"), 3)
      yield* file.writeAt(bytes("abc"), 0)
      assert.strictEqual(yield* read(folder, "file"), "abclater")
      yield* file.truncate(4)
      assert.strictEqual(yield* read(folder, "file"), "abcl")
      yield* file.truncate(6)
      yield* file.write(bytes("A"))
      assert.strictEqual(yield* read(folder, "file"), "Abcl\0\0")
    }))

  test("opens a file that is there to write on in it", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "abcdef")
      yield* folder.makeLink(n("file"), n("link"))
      const file = yield* folder.update(n("file"))
      yield* file.writeAt(bytes("XY"), 4)
      assert.strictEqual(yield* read(folder, "file"), "abcdXY")
      assert.strictEqual(yield* code(folder.update(n("nothing"))), "ENOENT")
      assert.strictEqual(yield* code(folder.update(n("link"))), "ELOOP")
    }))

  test("copies parts of a file within the kernel, and all of it by sharing", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "0123456789")
      const from = yield* folder.open(n("file"))
      const to = yield* folder.create(n("copy"))
      const part = yield* ifSupported(to.copyFrom(from, 6, 3))
      if (Option.isSome(part)) {
        assert.strictEqual(part.value, 3)
        assert.strictEqual(yield* to.copyFrom(from, 0, 6), 6)
        assert.strictEqual(yield* to.copyFrom(from, 9, 100), 1)
        assert.strictEqual(yield* to.copyFrom(from, 10, 100), 0)
        assert.strictEqual(yield* read(folder, "copy"), "0123456789")
      }
      const clone = yield* folder.create(n("clone"))
      if (Option.isSome(yield* ifSupported(clone.cloneFrom(from)))) {
        assert.strictEqual(yield* read(folder, "clone"), "0123456789")
      }
    }))

  test("tells where data are, and where holes", ({ folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      const mebi = 2 ** 20
      yield* file.writeAt(bytes("x"), mebi)
      yield* file.truncate(3 * mebi)
      const first = yield* ifSupported(file.dataFrom(0))
      if (Option.isNone(first)) return
      const known = Option.getOrThrow(first.value)
      // A file system without holes has data everywhere.
      assert.isAtMost(known.start, mebi)
      assert.isAbove(known.end, mebi)
      const next = yield* file.dataFrom(known.end)
      assert.isTrue(Option.isNone(next), "all data are one stretch")
      assert.isTrue(Option.isNone(yield* file.dataFrom(3 * mebi)))
      const { allocatedBytes, sizeBytes } = yield* file.stat
      assert.strictEqual(sizeBytes, 3 * mebi)
      if (known.start > 0) assert.isBelow(allocatedBytes, sizeBytes)
    }))

  test("flushes files, folders and file systems", ({ files, folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      yield* file.write(bytes("text"))
      yield* file.sync
      yield* folder.sync
      const itself = yield* files.open(folder.path)
      yield* itself.sync
      yield* ifSupported(itself.syncFileSystem)
      yield* ifSupported(file.forget)
      const again = Buffer.alloc(10)
      assert.strictEqual(yield* file.readAt(again, 1), 3)
      assert.strictEqual(again.toString("latin1", 0, 3), "ext")
    }))
}

/** What a file has beside content, mode and times. */
const attributeTests = (test: Test) => {
  const valuesOf = (
    names: ReadonlyArray<string>,
    namespace: string,
    read: (name: string) => Effect.Effect<Uint8Array, FilesError>
  ) =>
    Effect.forEach(
      names.filter((name) => name.startsWith(namespace)).toSorted((a, b) => a < b ? -1 : 1),
      (name) => Effect.map(read(name), (value) => `${name}=${Buffer.from(value).toString("latin1")}`)
    )

  const namesOf = (file: Files.OpenFile) => ask(file, (calls, at) => calls.listAttributes(at))
  const valueOf = (file: Files.OpenFile, name: string) => ask(file, (calls, at) => calls.getAttribute(at, name))
  const set = (file: Files.OpenFile, name: string, value: string) =>
    ask(file, (calls, at) => calls.setAttribute(at, name, bytes(value)))

  test("keeps extended attributes, whatever is in them", ({ files, folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      const empty = yield* ifSupported(namesOf(file))
      if (Option.isNone(empty)) return
      const own = (file: Files.OpenFile) =>
        Effect.flatMap(namesOf(file), (names) => valuesOf(names, "user.", (name) => valueOf(file, name)))
      assert.deepStrictEqual(yield* own(file), [])
      const first = ifSupported(set(file, "user.one", "a\0\xff"))
      // tmpfs has had them since Linux 6.6.
      if (Option.isNone(yield* first)) return
      yield* set(file, "user.caf\xe9", "")
      yield* set(file, "user.one", "b")
      assert.deepStrictEqual(yield* Effect.flatMap(folder.open(n("file")), own), ["user.caf\xe9=", "user.one=b"])
      assert.strictEqual((yield* Effect.flip(valueOf(file, "user.two"))).code, "ENODATA")
      const itself = yield* files.open(folder.path)
      yield* set(itself, "user.of a folder", "c")
      assert.deepStrictEqual(yield* own(itself), ["user.of a folder=c"])
    }))

  test("keeps extended attributes of links themselves", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "")
      yield* folder.makeLink(n("file"), n("link"))
      const set = askAt(folder, n("link"), (calls, at) =>
        calls.setAttributeAt(at, n("link"), "trusted.one", bytes("a\0\xff")))
      // These are for root alone, and others no link may have.
      if (!(yield* Effect.isSuccess(set))) {
        return
      }
      const namesOf = (of: FilePath.FilePath) =>
        askAt(folder, of, (calls, at) =>
          calls.listAttributesAt(at, of))
      const own = (of: FilePath.FilePath) =>
        Effect.flatMap(namesOf(of), (names) =>
          valuesOf(names, "trusted.", (name) =>
            askAt(folder, of, (calls, at) =>
              calls.getAttributeAt(at, of, name))))
      assert.deepStrictEqual(yield* own(n("link")), ["trusted.one=a\0\xff"])
      assert.deepStrictEqual(yield* own(n("file")), [])
      assert.strictEqual((yield* Effect.flip(namesOf(n("..")))).code, "EINVAL")
    }))

  test("sets owners, of links themselves", ({ folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      yield* folder.makeLink(n("nowhere"), n("link"))
      const { group, owner } = yield* file.stat
      // Nobody but root may give a file to somebody else.
      const other = owner === 0 ? { owner: 65_534, group: 65_533 } : { owner, group }
      yield* file.setMode(0o6755)
      yield* setOwner(folder, n("file"), other)
      yield* setOwner(folder, n("link"), other)
      for (const name of ["file", "link"]) {
        const { group, owner } = yield* folder.lstat(n(name))
        assert.deepStrictEqual({ owner, group }, other)
      }
      assert.strictEqual((yield* file.stat).mode, 0o755)
    }))

  test("gives files and folders another name in another folder, if it is free", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "text")
      yield* folder.makeFolder(n("into"))
      yield* folder.makeFolder(n("inner"))
      const into = yield* files.folder(at("into"))
      yield* write(into, "taken", "other")
      yield* folder.rename(n("file"), n("moved"), into)
      assert.strictEqual(yield* read(into, "moved"), "text")
      const taken = yield* Effect.result(into.renameExclusively(n("moved"), n("taken")))
      // Not every way to call a file system has it.
      if (Result.isFailure(taken) && taken.failure.code === "EEXIST") {
        yield* into.renameExclusively(n("moved"), n("file"), folder)
        assert.strictEqual(yield* read(folder, "file"), "text")
        yield* folder.renameExclusively(n("inner"), n("inner"), into)
        assert.sameMembers(yield* namesIn(into), ["inner", "taken"])
      } else {
        assert.strictEqual(Result.isFailure(taken) && taken.failure.code, "ENOTSUP")
        yield* into.rename(n("moved"), n("taken"))
        assert.strictEqual(yield* read(into, "taken"), "text")
      }
      assert.strictEqual(yield* code(folder.rename(n("nothing"), n("x"), into)), "ENOENT")
    }))

  test("gives a file one more name in another folder", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "text")
      yield* folder.makeFolder(n("into"))
      const into = yield* files.folder(at("into"))
      assert.strictEqual((yield* folder.lstat(n("file"))).links, 1)
      yield* folder.link(n("file"), n("other"), into)
      assert.strictEqual(yield* read(into, "other"), "text")
      assert.strictEqual((yield* folder.lstat(n("file"))).links, 2)
      assert.strictEqual(yield* code(folder.link(n("file"), n("other"), into)), "EEXIST")
      assert.strictEqual(yield* code(folder.link(n("file"), n("."), into)), "EINVAL")
      assert.strictEqual(yield* code(folder.link(n("nothing"), n("third"), into)), "ENOENT")
    }))
}

/**
 * What every file system behind `Files` must do, each test in an empty folder of its own.
 *
 * `unnamed` tells whether it must have files without a name, or must not; without it, it may. `isAtOnce` tells the same
 * of making calls at once.
 */
export const filesContract = <E>(
  it: Vitest.Methods,
  layer: Layer.Layer<Files.Files, E>,
  emptyFolder: Effect.Effect<FilePath.FilePath, never, Scope.Scope>,
  { isAtOnce, unnamed }: {
    readonly isAtOnce?: boolean
    readonly unnamed?: boolean
  } = {}
) => {
  const test: Test = (name, body) =>
    it.effect(name, () =>
      Effect.gen(function*() {
        const path = yield* emptyFolder
        const files = yield* Files.Files
        const folder = yield* files.folder(path)
        const atOnce: Place["atOnce"] = (work) =>
          Effect.map(folder.atOnce((calls, descriptor) => work(calls, descriptor)), (done) => {
            if (isAtOnce !== undefined) assert.strictEqual(Option.isSome(done), isAtOnce)
            return done
          })
        yield* body({ files, folder, at: (name) => FilePath.join(path, n(name)), atOnce })
      }).pipe(Effect.provide(layer)))

  describe("Files", () => {
    atOnceTests(test, isAtOnce)
    readingTests(test)
    comparingTests(test)
    removalTests(test)
    copyingTests(test)
    unitTests(test)
    changingTests(test)
    confinementTests(test)
    closingTests(test)
    unnamedTests(test, unnamed)
    contentTests(test)
    attributeTests(test)
  })
}
