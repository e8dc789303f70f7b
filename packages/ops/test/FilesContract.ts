import { assert, describe, type Vitest } from "@effect/vitest"
import * as FilePath from "@fanout/ops/FilePath"
import * as Files from "@fanout/ops/Files"
import type { FilesError } from "@fanout/ops/FilesError"
import type * as FolderListing from "@fanout/ops/FolderListing"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { copierOf } from "./copier.ts"

const bytes = (latin1: string): Uint8Array => Buffer.from(latin1, "latin1")
const n = (latin1: string): FilePath.FilePath => FilePath.fromBytes(bytes(latin1))
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
  setOwner: folder.setOwner(name, { owner: 0, group: 0 }),
  makeFolder: folder.makeFolder(name),
  readLink: folder.readLink(name),
  makeLink: folder.makeLink(n("target"), name),
  setTimes: folder.setTimes(name, times),
  renameFrom: folder.rename(name, n("other")),
  renameTo: folder.rename(n("file"), name),
  linkFrom: folder.link(name, n("other")),
  linkTo: folder.link(n("file"), name),
  unlink: folder.unlink(name),
  removeFolder: folder.removeFolder(name)
})

/** Notes what it is given, in the order in which that comes. */
class Notes implements Files.Reader {
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
class PairNotes implements Files.Comparer {
  readonly buffers = [Buffer.alloc(4), Buffer.alloc(4)] as const
  readonly notes: Array<string> = []
  readonly mayGoOn: () => boolean

  constructor(mayGoOn: () => boolean = () => true) {
    this.mayGoOn = mayGoOn
  }

  begin(a: Files.FileStat, b: Files.FileStat, isAlike: boolean): boolean {
    const [textA, textB] = [a, b].map(({ kind, sizeBytes }) => kind === "file" ? sizeBytes : kind)
    this.notes.push(`${textA} ${textB}${isAlike ? " alike" : ""}`)
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
class Broom implements Files.Sweeper {
  readonly removed = { names: 0, folders: 0 }
  private readonly most: number
  private readonly refused: ReadonlyArray<string>
  private readonly left: ReadonlyArray<string>
  private name = FilePath.empty

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

  begin(name: FilePath.FilePath, { device }: Files.Identity): boolean {
    this.name = name
    return !this.refused.includes(name) && device > 0n
  }

  isLeft(name: FilePath.FilePath): boolean {
    return this.left.includes(FilePath.join(this.name, name))
  }

  removedName(): void {
    this.removed.names++
  }

  removedFolder(): void {
    this.removed.folders++
  }
}

/** Copies what it is given, those below 20 bytes, and notes it. */
class CopyNotes extends Notes {
  readonly isFree: boolean
  readonly isOwn: boolean
  readonly keepsOwner: boolean
  readonly keepsHoles = true
  readonly isAttributeKept: () => boolean
  hold: Files.Copier["hold"] = undefined
  take: Files.Copier["take"] = undefined
  /** How large files are that their copies replace. */
  replaces: number | undefined = undefined

  constructor(to: "free" | "own" | "taken", mayGoOn: () => boolean = () => true, keepsAll = false) {
    super(mayGoOn)
    this.isFree = to === "free"
    this.isOwn = to === "own"
    this.keepsOwner = keepsAll
    this.isAttributeKept = () => keepsAll
  }

  readonly leave = (): void => {
    this.notes.push("left")
  }

  override begin(stat: Files.FileStat): boolean {
    const isWanted = super.begin(stat) || stat.kind === "link"
    // It may be begun once more.
    if (this.notes.at(-1) === this.notes.at(-2)) this.notes.pop()
    return isWanted
  }

  found({ sizeBytes }: Files.FileStat): FilePath.FilePath | undefined {
    if (sizeBytes === this.replaces) return n("aside")
    this.notes.push(`found ${sizeBytes}`)
    return undefined
  }

  copied(sizeBytes: number): void {
    this.notes.push(`copied ${sizeBytes}`)
  }

  ownerLost(): void {
    this.notes.push("owner lost")
  }

  spoiled(): void {
    this.notes.push("spoiled")
  }
}

/** Copying of files from one folder to another, where that has files without a name. */
const copyingTests = (test: Test) => {
  const copy = Effect.fnUntraced(function*(
    { at, files, folder }: Place,
    names: ReadonlyArray<string>,
    copier: CopyNotes
  ) {
    const into = yield* files.folder(at("into"))
    const count = yield* folder.copyEach(names.map(n), into, copier)
    const takesUnnamed = yield* Effect.isSuccess(Effect.scoped(into.createUnnamed))
    return { into, count, notes: copier.notes, takesUnnamed }
  })
  const plant = Effect.fnUntraced(function*(folder: Files.Folder) {
    for (const [name, text] of [["a", "0123456789"], ["b", ""], ["c", "abcd"], ["large", "x".repeat(20)]] as const) {
      yield* write(folder, name, text)
    }
    yield* Effect.scoped(Effect.flatMap(folder.open(n("a")), (file) => file.setMode(0o640)))
    yield* folder.setTimes(n("a"), times)
    yield* folder.makeFolder(n("into"))
  })

  test("copies files one after the other, those that are wanted and whose names are free", (place) =>
    Effect.gen(function*() {
      const { folder } = place
      yield* plant(folder)
      yield* folder.makeLink(n("a"), n("link"))
      const names = ["a", "nothing", "b", "into", "large", "link", "..", "c"]
      const first = yield* copy(place, names, new CopyNotes("taken"))
      assert.strictEqual(first.count, names.length)
      if (!first.takesUnnamed) {
        assert.isTrue(first.notes.some((note) => note.endsWith("ENOTSUP")))
        return assert.deepStrictEqual(yield* namesIn(first.into), ["link"])
      }
      assert.deepStrictEqual(first.notes, [
        "begin 10",
        "copied 10",
        "lstat nothing ENOENT",
        "begin 0",
        "copied 0",
        "begin folder",
        "begin 20",
        "begin link",
        "copied 0",
        "lstat .. EINVAL",
        "begin 4",
        "copied 4"
      ])
      assert.deepStrictEqual(yield* namesIn(first.into), ["a", "b", "c", "link"])
      assert.strictEqual(yield* first.into.readLink(n("link")), "a")
      const [link, linkThere] = [yield* folder.lstat(n("link")), yield* first.into.lstat(n("link"))]
      isClose(linkThere.modifiedNanos, link.modifiedNanos)
      assert.deepStrictEqual([yield* read(first.into, "a"), yield* read(first.into, "b")], ["0123456789", ""])
      const [a, there] = [yield* folder.lstat(n("a")), yield* first.into.lstat(n("a"))]
      assert.deepStrictEqual([there.mode, there.sizeBytes], [a.mode, a.sizeBytes])
      isClose(there.modifiedNanos, a.modifiedNanos)

      const second = yield* copy(place, ["a", "c"], new CopyNotes("taken"))
      assert.deepStrictEqual(second.notes, ["begin 10", "found 10", "begin 4", "found 4"])
      // What is taken for free and is not stays as it is.
      yield* folder.rename(n("c"), n("a"))
      const third = yield* copy(place, ["a"], new CopyNotes("free"))
      assert.deepStrictEqual(third.notes, ["begin 4", "link a EEXIST"])
      assert.strictEqual(yield* read(third.into, "a"), "0123456789")
    }))

  test("has copies take the place of what is there, where it may, or tells of that", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      const replacing = (names: ReadonlyArray<string>, mayGoOn?: () => boolean) => {
        const copier = new CopyNotes("taken", mayGoOn)
        copier.replaces = 3
        return copy(place, names, copier)
      }
      const into = yield* place.files.folder(place.at("into"))
      for (const name of ["a", "b", "c"]) yield* write(into, name, name === "b" ? "other" : "old")
      yield* into.link(n("a"), n("kept"))
      const texts = Effect.forEach(["a", "b", "c", "kept"], (name) => read(into, name))

      // Once before each file, before it gets a name, and before it takes that of another one.
      for (const asked of [1, 2]) {
        let left = asked
        yield* replacing(["a", "b", "c"], () => left-- > 0)
        assert.deepStrictEqual(yield* texts, ["old", "other", "old", "old"])
        assert.deepStrictEqual(yield* namesIn(into), ["a", "b", "c", "kept"])
      }

      const { notes } = yield* replacing(["a", "b", "c"])
      if (notes.includes("left") || notes.some((note) => note.endsWith("ENOTSUP"))) {
        assert.deepStrictEqual(yield* texts, ["old", "other", "old", "old"])
      } else {
        assert.deepStrictEqual(notes, ["begin 10", "copied 10", "begin 0", "found 5", "begin 4", "copied 4"])
        assert.deepStrictEqual(yield* texts, ["0123456789", "other", "abcd", "old"])
        const [a, there] = [yield* place.folder.lstat(n("a")), yield* into.lstat(n("a"))]
        assert.strictEqual(there.mode, a.mode)
        isClose(there.modifiedNanos, a.modifiedNanos)
      }
      assert.deepStrictEqual(yield* namesIn(into), ["a", "b", "c", "kept"])

      // What has the other name already is somebody else's.
      yield* write(into, "aside", "mine")
      yield* into.unlink(n("c"))
      yield* write(into, "c", "old")
      const { notes: last } = yield* replacing(["c"])
      assert.deepStrictEqual([last.at(-1), yield* read(into, "aside")], ["left", "mine"])
    }))

  test("gives what passes through a copy to whoever wants to know it, and copies owners", (place) =>
    Effect.gen(function*() {
      const { folder } = place
      yield* plant(folder)
      const wanted = { owner: 1234, group: 2345 }
      // Only a few users may give files away.
      const mayOwn = yield* Effect.isSuccess(folder.setOwner(n("a"), wanted))
      for (const takes of [true, false]) {
        const copier = new CopyNotes("taken", undefined, true)
        const taken: Array<Uint8Array> = []
        if (takes) copier.take = (piece) => void taken.push(Uint8Array.from(piece))
        const { into, takesUnnamed } = yield* copy(place, ["a", "b", "c"], copier)
        if (!takesUnnamed) return
        assert.strictEqual(Buffer.concat(taken).toString(), takes ? "0123456789abcd" : "")
        assert.deepStrictEqual([yield* read(into, "a"), yield* read(into, "c")], ["0123456789", "abcd"])
        const [{ group, mode, owner }, other] = [yield* into.lstat(n("a")), yield* folder.lstat(n("c"))]
        if (mayOwn) assert.deepStrictEqual({ owner, group }, wanted)
        assert.strictEqual(mode, 0o640)
        const { group: itsGroup, owner: itsOwner } = yield* into.lstat(n("c"))
        assert.deepStrictEqual([itsOwner, itsGroup], [other.owner, other.group])
        for (const name of ["a", "b", "c"]) yield* into.unlink(n(name))
      }
    }))

  test("gives copies that are whole and have no names yet to whoever holds them", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      const copier = new CopyNotes("free")
      const held: Array<Files.UnnamedFile> = []
      copier.hold = (file, sizeBytes) => {
        held.push(file)
        copier.notes.push(`held ${sizeBytes}`)
      }
      const { count, into, notes, takesUnnamed } = yield* copy(place, ["a", "b", "c"], copier)
      if (!takesUnnamed) return
      assert.strictEqual(count, 3)
      assert.deepStrictEqual(notes, ["begin 10", "held 10", "begin 0", "held 0", "begin 4", "held 4"])
      assert.deepStrictEqual(yield* namesIn(into), [])
      const [first, , third] = held
      for (const [file, name] of [[third, "c"], [first, "a"]] as const) {
        if (file !== undefined) yield* file.link(n(name))
      }
      yield* Effect.forEach(held, ({ close }) => close)
      assert.deepStrictEqual(yield* namesIn(into), ["a", "c"])
      assert.deepStrictEqual([yield* read(into, "a"), yield* read(into, "c")], ["0123456789", "abcd"])
      const [a, there] = [yield* place.folder.lstat(n("a")), yield* into.lstat(n("a"))]
      assert.strictEqual(there.mode, a.mode)
      isClose(there.modifiedNanos, a.modifiedNanos)
    }))

  test("leaves nothing of a copy that is stopped, before it is whole or before it has its name", (place) =>
    Effect.gen(function*() {
      yield* plant(place.folder)
      // Once before each file, between pieces, and before it gets its name.
      for (const [asked, copied] of [[1, 0], [2, 0], [3, 0], [4, 1]] as const) {
        let left: number = asked
        const copier = new CopyNotes("taken", () => left-- > 0)
        const { count, into, notes, takesUnnamed } = yield* copy(place, ["a", "b"], copier)
        if (!takesUnnamed) continue
        assert.strictEqual(count, copied, notes.join())
        assert.deepStrictEqual(yield* namesIn(into), copied === 0 ? [] : ["a"])
      }
    }))
}

/** Copying into a folder that is nobody else's. */
const ownTests = (test: Test) => {
  const copy = Effect.fnUntraced(
    function*({ at, files, folder }: Place, names: ReadonlyArray<string>, copier: CopyNotes) {
      const into = yield* files.folder(at("into"))
      const count = yield* folder.copyEach(names.map(n), into, copier)
      return { into, count }
    }
  )
  const plant = Effect.fnUntraced(function*({ folder }: Place) {
    for (const [name, text] of [["a", "0123456789"], ["b", ""], ["large", "x".repeat(20)]] as const) {
      yield* write(folder, name, text)
    }
    yield* Effect.scoped(Effect.flatMap(folder.open(n("a")), (file) => file.setMode(0o640)))
    yield* folder.setTimes(n("a"), times)
    yield* folder.makeLink(n("a"), n("link"))
    yield* folder.makeFolder(n("into"))
  })

  test("copies files into a folder of the copy's own under their names", (place) =>
    Effect.gen(function*() {
      yield* plant(place)
      const copier = new CopyNotes("own")
      const { count, into } = yield* copy(place, ["a", "nothing", "b", "large", "link"], copier)
      assert.strictEqual(count, 5)
      assert.deepStrictEqual(copier.notes, [
        "begin 10",
        "copied 10",
        "lstat nothing ENOENT",
        "begin 0",
        "copied 0",
        "begin 20",
        "begin link",
        "copied 0"
      ])
      assert.deepStrictEqual(yield* namesIn(into), ["a", "b", "link"])
      assert.deepStrictEqual([yield* read(into, "a"), yield* read(into, "b")], ["0123456789", ""])
      const [a, there] = [yield* place.folder.lstat(n("a")), yield* into.lstat(n("a"))]
      assert.deepStrictEqual([there.mode, there.sizeBytes], [a.mode, a.sizeBytes])
      isClose(there.modifiedNanos, a.modifiedNanos)
      // What has come there all the same stays as it is.
      const again = new CopyNotes("own")
      yield* write(place.folder, "c", "abcd")
      yield* place.folder.rename(n("c"), n("a"))
      yield* copy(place, ["a"], again)
      assert.deepStrictEqual(again.notes, ["begin 4", "create a EEXIST"])
      assert.strictEqual(yield* read(into, "a"), "0123456789")
    }))

  test("fills no holes of a copy, and takes them for zeros", ({ at, files, folder }) =>
    Effect.gen(function*() {
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
      const left: Array<string> = []
      let taken: Array<Buffer> = []
      for (const [name, [sizeBytes, ...pieces]] of Object.entries(contents)) {
        taken = []
        const copier = copierOf({
          buffer: Buffer.alloc(2 ** 16),
          isOwn: true,
          isFree: true,
          take: (bytes) => taken.push(Buffer.from(bytes)),
          leave: () => left.push(name)
        })
        yield* folder.copyEach([n(name)], into, copier)
        if (left.includes(name)) continue
        const expected = Buffer.alloc(sizeBytes)
        for (const [offset, text] of pieces) expected.write(text, offset)
        const copy = yield* into.open(n(name))
        const found = Buffer.alloc(sizeBytes + 1)
        let length = 0
        for (let more = -1; more !== 0; length += more) more = yield* copy.readAt(found.subarray(length), length)
        assert.isTrue(expected.equals(found.subarray(0, length)), name)
        assert.isTrue(expected.equals(Buffer.concat(taken)), `${name} as it was taken`)
        if (Option.isNone(yield* ifSupported(copy.dataFrom(0)))) continue
        const source = yield* folder.lstat(n(name))
        assert.isAtMost((yield* copy.stat).allocatedBytes, source.allocatedBytes, name)
      }
      // Where it is not known where they are, none is left out.
      assert.include([0, 3], left.length)
    }))

  test("leaves nothing there of a copy that is stopped before it is whole", (place) =>
    Effect.gen(function*() {
      yield* plant(place)
      // Once before each file, and between pieces.
      for (const [asked, names] of [[1, []], [2, []], [3, ["a"]]] as const) {
        let left: number = asked
        const copier = new CopyNotes("own", () => left-- > 0)
        const { count, into } = yield* copy(place, ["a", "b"], copier)
        assert.strictEqual(count, names.length, copier.notes.join())
        assert.deepStrictEqual(yield* namesIn(into), Array.from(names))
      }
    }))
}

/** Comparing of what is in folders, where that must be done at once, or must not. */
const comparingTests = (test: Test, compares: boolean | undefined) => {
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
        yield* inner.setTimes(n(name), times)
      }
      yield* Effect.scoped(Effect.flatMap(inner.open(n("other")), (file) => file.setMode(0o640 + index)))
      yield* inner.makeFolder(n("folder"))
      yield* write(yield* files.folder(at(`${tree}/folder`)), "inner", "in")
      yield* inner.makeFolder(n(`only in ${tree}`))
      yield* inner.makeLink(n("same"), n("link"))
      yield* inner.makeLink(n(`to ${tree}`), n("elsewhere"))
      yield* inner.makeLink(n("folder"), n("linked"))
      for (const name of ["folder", "link", "elsewhere", "linked"]) yield* inner.setTimes(n(name), times)
      yield* folder.setTimes(n(tree), times)
    }
    yield* (yield* files.folder(at("A"))).link(n("same"), n("shared"))
    yield* (yield* files.folder(at("A"))).link(n("same"), n("shared"), yield* files.folder(at("B")))
    yield* (yield* files.folder(at("A"))).makeLink(n("same"), n("mixed"))
    yield* write(yield* files.folder(at("B")), "mixed", "0123456789")
    for (const tree of ["A", "B"]) yield* folder.setTimes(n(tree), times)
  })
  const compare = (
    { at, files }: Place,
    folders: Readonly<Record<string, ReadonlyArray<string>>>,
    comparer: PairNotes
  ) =>
    files.compareEach({
      a: at("A"),
      b: at("B"),
      folders: Object.entries(folders).map(([path, names]) => ({ path: n(path), names: names.map(n) })),
      comparer
    })
  /** Whether nothing could be compared at once; where it must be, that is an error. */
  const isLeft = (notes: ReadonlyArray<string>): boolean => {
    const isLeft = notes.every((note) => note === "left")
    if (compares !== undefined) assert.strictEqual(isLeft, !compares)
    return isLeft
  }

  test("compares what has the same names in two folders, one after the other, what is wanted", (place) =>
    Effect.gen(function*() {
      yield* plant(place)
      const expected: ReadonlyArray<readonly [name: string, ...notes: ReadonlyArray<string>]> = [
        ["", "folder folder alike"],
        ["same", "10 10 alike", "same, 10"],
        ["differs", "10 10 alike", "from 8 on, 8"],
        ["shorter", "4 6 alike", "from 4 on, 4"],
        ["nothing", "left"],
        ["empty", "0 0 alike", "same, 0"],
        ["large", "20 20 alike"],
        ["other", "4 4", "same, 4"],
        ["folder", "folder folder alike"],
        ["only in A", "left"],
        ["only in B", "left"],
        ["link", "link link alike", "same, 0"],
        ["elsewhere", "link link alike", "from 3 on, 0"],
        ["mixed", "left"],
        ["..", "left"],
        ["shared", "10 10 alike", "same, 0"]
      ]
      const all = new PairNotes()
      const names = expected.map(([name]) => name)
      assert.strictEqual(yield* compare(place, { "": names }, all), names.length)
      if (isLeft(all.notes)) return assert.lengthOf(all.notes, names.length)
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
      assert.strictEqual(yield* compare(place, { "": names }, careful), names.length)
      if (isLeft(careful.notes)) return
      assert.deepStrictEqual(careful.notes, [
        "left",
        "left",
        "0 0 alike",
        "same, 0",
        "link link alike",
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
      assert.strictEqual(yield* compare(place, folders, all), 8)
      if (isLeft(all.notes)) return assert.lengthOf(all.notes, 8)
      const inFolder = all.notes.splice(0, 3)
      assert.deepStrictEqual(inFolder.map((note) => note.replace(" alike", "")), ["folder folder", "2 2", "same, 2"])
      const left = Array.from({ length: 5 }, () => "left")
      assert.deepStrictEqual(all.notes, [...left, "0 0 alike", "same, 0"])
    }))

  test("stops between two that it compares", (place) =>
    Effect.gen(function*() {
      yield* plant(place)
      let left = 2
      const some = new PairNotes(() => left-- > 0)
      const count = yield* compare(place, { "": ["same", "empty", "large"], folder: ["inner"] }, some)
      if (isLeft(some.notes)) return assert.strictEqual(count, 4)
      assert.strictEqual(count, 2)
      assert.deepStrictEqual(some.notes, ["10 10 alike", "same, 10", "0 0 alike", "same, 0"])
    }))
}

/** Removing of folders with all that is below them, where that must be done at once, or must not. */
const sweepingTests = (test: Test, sweeps: boolean | undefined) => {
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
  const sweep = Effect.fnUntraced(function*({ at, files, folder }: Place, broom: Broom) {
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
    const swept = yield* folder.sweepTree(n("tree"), broom)
    const isGone = Option.isNone(yield* folder.find(n("tree")))
    const left = isGone ? undefined : yield* Effect.flatMap(files.folder(at("tree")), below)
    assert.deepStrictEqual(yield* Effect.flatMap(files.folder(at("out")), below), ["kept"])
    if (sweeps !== undefined) assert.strictEqual(Option.isSome(swept), sweeps)
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

  test("removes no tree that is none, and nothing too deep in one", ({ at, files, folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("out"))
      yield* write(folder, "file", "text")
      yield* folder.makeLink(n("out"), n("linked"))
      for (const name of ["nothing", "file", "linked", ".."]) yield* folder.sweepTree(n(name), new Broom())
      assert.deepStrictEqual(yield* namesIn(folder), ["file", "linked", "out"])
      let path = "out"
      for (let depth = 1; depth <= 17; depth++) {
        yield* (yield* files.folder(at(path))).makeFolder(n("in"))
        path += "/in"
      }
      const swept = yield* folder.sweepTree(n("out"), new Broom())
      if (Option.isSome(swept)) assert.isTrue(swept.value)
      assert.isTrue(Option.isSome(yield* folder.find(n("out"))))
    }))
}

const readingTests = (test: Test) => {
  test("reads files one after the other, those that are wanted", ({ at, files, folder }) =>
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
      const readEach = (names: ReadonlyArray<string>, reader: Files.Reader) =>
        files.readEach([{ path: folder.path, names: names.map(n) }], reader)
      const names = ["a", "nothing", "b", "folder", "large", "link", "d", "..", "c"]
      const all = new Notes()
      assert.strictEqual(yield* readEach(names, all), names.length)
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
      assert.strictEqual(yield* readEach(["a", "d"], careful), 2)
      assert.deepStrictEqual(careful.notes, ["begin 3", "xyz", "end"])
      // Once before each file, and between pieces.
      let left = 3
      const some = new Notes(() => left-- > 0)
      assert.strictEqual(yield* readEach(["b", "a", "c"], some), 1)
      assert.deepStrictEqual(some.notes, ["begin 0", "end", "begin 10", "0123", "4567"])
      assert.strictEqual(yield* readEach([], some), 0)
      // All of a folder that can't be opened counts.
      const each = new Notes()
      const folders = [["nothing", "a", "b"], ["folder"], ["", "c"], ["folder", "e"]] as const
      const named = folders.map(([folder, ...names]) => ({ path: at(folder), names: names.map(n) }))
      assert.strictEqual(yield* files.readEach(named, each), 4)
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
      let leftOfFirst = 2
      const first = new Notes(() => leftOfFirst-- > 0)
      assert.strictEqual(yield* files.readEach(named.slice(2), first), 1)
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
      yield* folder.setTimes(n("link"), times)

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
        yield* folder.setTimes(n("link"), set)
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
        folder.setTimes(n("file"), times)
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
  test("empties folders one after the other, and leaves what it is told to, and what is a folder", ({ folder }) =>
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
      assert.strictEqual(yield* folder.sweepEach(swept, sweeper), swept.length)

      assert.deepStrictEqual(sweeper.removed, { names: 11, folders: 2 })
      const left = (name: string) => Effect.scoped(Effect.flatMap(folder.folder(n(name)), namesIn))
      assert.deepStrictEqual(yield* namesIn(folder), ["file", "kept", "left", "link", "nested", "other"])
      assert.deepStrictEqual(yield* left("kept"), ["b"])
      assert.deepStrictEqual(yield* left("left"), ["a", "b", "link", n("\xfe")])
      assert.deepStrictEqual(yield* left("nested"), ["inner"])
      assert.deepStrictEqual(yield* left("other"), ["a", "b", "link", n("\xfe")])
    }))

  test("empties folders until it must not go on", ({ folder }) =>
    Effect.gen(function*() {
      for (const name of ["a", "b", "c"]) {
        yield* folder.makeFolder(n(name))
        const inner = yield* folder.folder(n(name))
        for (let i = 0; i < 100; i++) yield* write(inner, String(i), "")
      }
      const names = ["a", "b", "c"].map(n)
      const sweeper = new Broom({ most: 150 })

      assert.strictEqual(yield* folder.sweepEach(names, sweeper), 1)
      assert.deepStrictEqual(sweeper.removed, { names: 150, folders: 1 })
      assert.strictEqual(yield* folder.sweepEach(names.slice(1), sweeper), 0)
      assert.deepStrictEqual(sweeper.removed, { names: 150, folders: 1 })
      const goesOn = new Broom()
      assert.strictEqual(yield* folder.sweepEach(names.slice(1), goesOn), 2)
      assert.deepStrictEqual(goesOn.removed, { names: 150, folders: 2 })
      assert.deepStrictEqual(yield* namesIn(folder), [])
    }))

  test("empties a folder of more names than it is told at a time", ({ folder }) =>
    Effect.gen(function*() {
      yield* folder.makeFolder(n("many"))
      const inner = yield* folder.folder(n("many"))
      const long = "a long name, of which few fit ".repeat(4)
      for (let i = 0; i < 2500; i++) yield* inner.makeLink(n("x"), n(`${long}${i}`))
      const sweeper = new Broom()

      assert.strictEqual(yield* folder.sweepEach([n("many")], sweeper), 1)

      assert.deepStrictEqual(sweeper.removed, { names: 2500, folders: 1 })
      assert.deepStrictEqual(yield* namesIn(folder), [])
    }))

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

      yield* folder.setTimes(n("link"), times)
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
      yield* deepest.setTimes(n("file"), times)

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
      yield* ifSupported(file.readAnew)
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

  test("keeps extended attributes, whatever is in them", ({ files, folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      const empty = yield* ifSupported(file.attributeNames)
      if (Option.isNone(empty)) return
      const own = (file: Files.OpenFile) =>
        Effect.flatMap(file.attributeNames, (names) => valuesOf(names, "user.", (name) => file.attribute(name)))
      assert.deepStrictEqual(yield* own(file), [])
      const set = ifSupported(file.setAttribute({ name: "user.one", value: bytes("a\0\xff") }))
      // tmpfs has had them since Linux 6.6.
      if (Option.isNone(yield* set)) return
      yield* file.setAttribute({ name: "user.caf\xe9", value: bytes("") })
      yield* file.setAttribute({ name: "user.one", value: bytes("b") })
      assert.deepStrictEqual(yield* Effect.flatMap(folder.open(n("file")), own), ["user.caf\xe9=", "user.one=b"])
      assert.strictEqual((yield* Effect.flip(file.attribute("user.two"))).code, "ENODATA")
      const itself = yield* files.open(folder.path)
      yield* itself.setAttribute({ name: "user.of a folder", value: bytes("c") })
      assert.deepStrictEqual(yield* own(itself), ["user.of a folder=c"])
    }))

  test("keeps extended attributes of links themselves", ({ folder }) =>
    Effect.gen(function*() {
      yield* write(folder, "file", "")
      yield* folder.makeLink(n("file"), n("link"))
      const attribute = { name: "trusted.one", value: bytes("a\0\xff") }
      // These are for root alone, and others no link may have.
      if (!(yield* Effect.isSuccess(folder.setAttribute(n("link"), attribute)))) return
      const own = (of: FilePath.FilePath) =>
        Effect.flatMap(
          folder.attributeNames(of),
          (names) => valuesOf(names, "trusted.", (name) => folder.attribute(of, name))
        )
      assert.deepStrictEqual(yield* own(n("link")), ["trusted.one=a\0\xff"])
      assert.deepStrictEqual(yield* own(n("file")), [])
      assert.strictEqual((yield* Effect.flip(folder.attributeNames(n("..")))).code, "EINVAL")
    }))

  test("sets owners, of links themselves", ({ folder }) =>
    Effect.gen(function*() {
      const file = yield* folder.create(n("file"))
      yield* folder.makeLink(n("nowhere"), n("link"))
      const { group, owner } = yield* file.stat
      // Nobody but root may give a file to somebody else.
      const other = owner === 0 ? { owner: 65_534, group: 65_533 } : { owner, group }
      yield* file.setMode(0o6755)
      yield* file.setOwner(other)
      yield* folder.setOwner(n("link"), other)
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
 * `unnamed` tells whether it must have files without a name, or must not; without it, it may. `compares` tells the same
 * of comparing at once, `sweeps` of removing trees.
 */
export const filesContract = <E>(
  it: Vitest.Methods,
  layer: Layer.Layer<Files.Files, E>,
  emptyFolder: Effect.Effect<FilePath.FilePath, never, Scope.Scope>,
  { compares, sweeps, unnamed }: {
    readonly compares?: boolean
    readonly sweeps?: boolean
    readonly unnamed?: boolean
  } = {}
) => {
  const test: Test = (name, body) =>
    it.effect(name, () =>
      Effect.gen(function*() {
        const path = yield* emptyFolder
        const files = yield* Files.Files
        const folder = yield* files.folder(path)
        yield* body({ files, folder, at: (name) => FilePath.join(path, n(name)) })
      }).pipe(Effect.provide(layer)))

  describe("Files", () => {
    ownTests(test)
    readingTests(test)
    comparingTests(test, compares)
    sweepingTests(test, sweeps)
    copyingTests(test)
    ownTests(test)
    changingTests(test)
    confinementTests(test)
    closingTests(test)
    unnamedTests(test, unnamed)
    contentTests(test)
    attributeTests(test)
  })
}
