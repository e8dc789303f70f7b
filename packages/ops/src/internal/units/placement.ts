/**
 * Gives what is in the draft of a unit its names: compared with its sources before, if that is asked for.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import { sameBytes } from "../files/byteComparison.ts"
import { followedName } from "../files/followedName.ts"
import { takeName } from "../files/freeName.ts"
import type { Routine } from "../files/routine.ts"
import { removeOwn } from "../files/treeRemoval.ts"
import { isUnfinished } from "../path/unfinishedFolder.ts"
import type { Filled, Placement, Settled, Unit } from "../steps/unit.ts"
import { endFolder } from "./folderEnd.ts"
import { Folders } from "./folderHandles.ts"
import { namesIn } from "./folderNames.ts"
import { openKnown } from "./ownFolder.ts"

// --- Compared -------------------------------------------------------------------------------------------------------

/** As much of either file is read at once as stays in a core's own cache with that of the other. */
const pieceBytes = 2 ** 17

type Buffers = readonly [inCopy: Buffer, inSource: Buffer]

/** Buffers that nobody compares in for now: to make them takes longer than to fill them. */
const spareBuffers: Array<Buffers> = []

const takeBuffers = (): Buffers =>
  spareBuffers.pop() ?? [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)]

/** So many copies are open at most. */
const mostOpen = 64

/** Reads so many bytes from a place on, and tells whether there were as many. */
function* read(calls: Calls, file: number, buffer: Uint8Array, at: number, length: number): Routine<boolean> {
  for (let got = 0; got < length;) {
    const more = yield* calls.read(file, buffer.subarray(got, length), at + got)
    if (isCode(more) || more === 0) return false
    got += more
  }
  return true
}

/** Copies that are open, or why they are not, by their names. */
type Copies = ReadonlyMap<FilePath.FilePath, Answer<number>>

class Comparison {
  /** How many files of the last placement were compared. */
  compared = 0
  private buffers: Buffers | undefined
  private readonly calls: Calls
  private readonly isFollowing: boolean

  constructor(calls: Calls, { isFollowing }: Unit) {
    this.calls = calls
    this.isFollowing = isFollowing
  }

  private *isSameContent(copy: number, source: number): Routine<boolean> {
    const { calls } = this
    const buffers = this.buffers ??= takeBuffers()
    const [inCopy, inSource] = buffers
    const [a, b] = [yield* calls.stat(copy), yield* calls.stat(source)]
    // Times tell nothing: the file system of the copy may know them to the second only.
    if (isCode(a) || isCode(b) || a.kind !== b.kind || a.sizeBytes !== b.sizeBytes) return false
    for (let at = 0; at < a.sizeBytes; at += pieceBytes) {
      const length = Math.min(a.sizeBytes - at, pieceBytes)
      const areRead = (yield* read(calls, copy, inCopy, at, length)) &&
        (yield* read(calls, source, inSource, at, length))
      if (!areRead || sameBytes(buffers, length) < length) return false
    }
    return true
  }

  /** Opens copies, and has them be read from the device, all at the same time: one by one each would wait for it. */
  *open(folder: number, names: ReadonlyArray<FilePath.FilePath>): Routine<Copies> {
    const { calls } = this
    const copies = new Map<FilePath.FilePath, Answer<number>>()
    for (const name of names) {
      const file = yield* calls.open(folder, name, "read")
      if (!isCode(file)) yield* calls.readAnew(file)
      copies.set(name, file)
    }
    return copies
  }

  private closeEach(copies: Copies): void {
    for (const copy of copies.values()) if (!isCode(copy)) this.calls.closeNow(copy)
  }

  close(copies: Copies): void {
    this.closeEach(copies)
    if (this.buffers !== undefined) spareBuffers.push(this.buffers)
  }

  /** Compares a file that is open with its source. Links have nothing to compare. */
  private *isSameFile(copy: Answer<number>, source: number, name: FilePath.FilePath): Routine<boolean> {
    const { calls } = this
    if (isCode(copy)) return copy.name === "ELOOP"
    const found = this.isFollowing ? yield* followedName(calls, source, name) : { leadsTo: name }
    const file = isCode(found) ? found : yield* calls.open(source, found.leadsTo, "read")
    if (isCode(file)) return false
    this.compared++
    const isSame = yield* this.isSameContent(copy, file)
    calls.closeNow(file)
    return isSame
  }

  private *areSameFiles(
    folder: number,
    source: number,
    names: ReadonlyArray<FilePath.FilePath>
  ): Routine<boolean> {
    for (let from = 0; from < names.length; from += mostOpen) {
      const copies = yield* this.open(folder, names.slice(from, from + mostOpen))
      let areSame = true
      for (const [name, copy] of copies) areSame &&= yield* this.isSameFile(copy, source, name)
      this.closeEach(copies)
      if (!areSame) return false
    }
    return true
  }

  private *isSameFolder(
    parent: number,
    as: FilePath.FilePath,
    sourceParent: number,
    name: FilePath.FilePath
  ): Routine<boolean> {
    const { calls } = this
    const copy = yield* calls.open(parent, as, "list")
    const source = yield* calls.open(sourceParent, name, "list")
    const names = isCode(copy) ? undefined : yield* namesIn(calls, copy)
    let isSame = !isCode(copy) && !isCode(source) && names !== undefined &&
      (yield* this.areSameFiles(copy, source, names.others))
    if (!isCode(copy) && !isCode(source)) {
      for (const name of names?.folders ?? []) isSame &&= yield* this.isSameFolder(copy, name, source, name)
    }
    for (const folder of [copy, source]) if (!isCode(folder)) calls.closeNow(folder)
    return isSame
  }

  /** Whether a copy in the draft, which is open if it is no folder, is what its source is. */
  *isSame(draft: number, copies: Copies, { as, isFolder, name }: Placement, source: number): Routine<boolean> {
    this.compared = 0
    const copy = copies.get(as)
    return isFolder
      ? yield* this.isSameFolder(draft, as, source, name)
      : copy !== undefined && (yield* this.isSameFile(copy, source, name))
  }
}

// --- Placed ---------------------------------------------------------------------------------------------------------

/** Gives what is in the draft its name in a folder, and tells whether it has that. */
function* place(calls: Calls, draft: number, { as, name, replaces }: Placement, folder: number): Routine<boolean> {
  const placed = replaces
    ? yield* calls.rename(draft, as, folder, name)
    : yield* takeName(calls, { folder: draft, name: as }, { folder, name }, true)
  return !isCode(placed)
}

function* setMode(calls: Calls, folder: number, { mode, name }: Placement): Routine<boolean> {
  if (mode === undefined) return true
  const placed = yield* calls.open(folder, name, "list")
  if (isCode(placed)) return false
  const isSet = !isCode(yield* calls.setMode(placed, mode))
  calls.closeNow(placed)
  return isSet
}

/** What tells how long it may go on. */
export interface Limits {
  readonly mayGoOn: () => boolean
  /** Whether something that others see may be changed. */
  readonly mayPublish: () => boolean
}

/** What waits in a draft, and which of it, by places, is to get no name after all. */
export interface ToSettle extends Pick<Filled, "endings" | "placements"> {
  readonly dropped: ReadonlyArray<number>
}

/**
 * Compares and places what is in a draft, as far as it comes, and goes on behind what was dealt with before. After the
 * last of it folders are ended into which all has come.
 */
export function* settle(
  calls: Calls,
  unit: Unit,
  { dropped, endings, placements }: ToSettle,
  { mayGoOn, mayPublish }: Limits,
  before: Settled
): Routine<Settled> {
  const { draft: draftName, isVerified, keeps, source, target } = unit
  const [sources, targets] = [new Folders(calls, source), new Folders(calls, target)]
  const top = yield* targets.at(FilePath.empty)
  const draft = top === undefined ? undefined : yield* openKnown(calls, top, draftName)
  const comparison = new Comparison(calls, unit)
  const left = placements.slice(before.through)
  const copies = isVerified && draft !== undefined
    ? yield* comparison.open(draft, left.flatMap(({ as, isFolder }) => isFolder ? [] : [as]))
    : new Map<never, never>()
  const [placed, modeless] = [Array.from(before.placed), Array.from(before.modeless)]
  let { through, verified } = before
  for (const one of left) {
    if (through > before.through && !mayGoOn()) break
    const index = through++
    const [from, to] = [isVerified ? yield* sources.at(one.path) : undefined, yield* targets.at(one.path)]
    if (draft === undefined || to === undefined || dropped.includes(index)) continue
    if (isVerified && (from === undefined || !(yield* comparison.isSame(draft, copies, one, from)))) continue
    if (!mayPublish() || !(yield* place(calls, draft, one, to))) continue
    verified += comparison.compared
    placed.push(index)
    if (!(yield* setMode(calls, to, one))) modeless.push(index)
  }
  const isThrough = through === placements.length
  const isPlaced = new Set(placed)
  const unplaced = new Set(placements.flatMap(({ path }, index) => isPlaced.has(index) ? [] : [path]))
  const kept = new Set(keeps)
  const ends: Array<"kept" | "ownerLost" | undefined> = []
  for (const ending of isThrough ? endings : []) {
    const folder = !unplaced.has(ending.path) && mayPublish() ? yield* targets.at(ending.path) : undefined
    const wanted = kept.has("mode") ? ending : { ...ending, mode: undefined }
    ends.push(folder === undefined ? undefined : yield* endFolder(calls, folder, wanted, kept))
  }
  comparison.close(copies)
  if (draft !== undefined) calls.closeNow(draft)
  if (isThrough && top !== undefined) {
    yield* removeOwn(calls, top, draftName, (stat) => isUnfinished(stat, calls.user()))
  }
  sources.close()
  targets.close()
  const ended = ends.flatMap((how, index) => how === undefined ? [] : [index])
  const ownersLost = ends.filter((how) => how === "ownerLost").length
  return { through, placed, modeless, ended, ownersLost, verified }
}
