/**
 * Places the copies of a draft: gives each its name, after a comparison with its source where the job asks for that.
 */
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type { Lost } from "../../ProgressUnits.ts"
import { sameBytes } from "../files/byteComparison.ts"
import { followedName } from "../files/followedName.ts"
import { takeName } from "../files/freeName.ts"
import type { Routine } from "../files/routine.ts"
import { removeOwn } from "../files/treeRemoval.ts"
import { isUnfinished } from "../path/unfinishedFolder.ts"
import { type Filled, type Placement, type Settled, sumOf, type Unit } from "../steps/unit.ts"
import { endFolder } from "./folderEnd.ts"
import { Folders } from "./folderHandles.ts"
import { namesIn } from "./folderNames.ts"
import { openKnown } from "./ownFolder.ts"

// --- Compared -------------------------------------------------------------------------------------------------------

/** Bytes that are read of each file at once: both pieces stay in the cache of a core. */
const pieceBytes = 2 ** 17

type Buffers = readonly [inCopy: Buffer, inSource: Buffer]

/** Unused buffers: to allocate them takes longer than to fill them. */
const spareBuffers: Array<Buffers> = []

const takeBuffers = (): Buffers =>
  spareBuffers.pop() ?? [Buffer.allocUnsafeSlow(pieceBytes), Buffer.allocUnsafeSlow(pieceBytes)]

/** Most copies that are open at the same time. */
const mostOpen = 64

/** Fills a part of a buffer from a place of the file. `false` says that the file is shorter. */
function* read(calls: Calls, file: number, buffer: Uint8Array, at: number, length: number): Routine<boolean> {
  for (let got = 0; got < length;) {
    const more = yield* calls.read(file, buffer.subarray(got, length), at + got)
    if (isCode(more) || more === 0) return false
    got += more
  }
  return true
}

/** Open copies by their names, or the code of the failed open. */
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
    // Times are not compared: the file system of the copy may store whole seconds.
    if (isCode(a) || isCode(b) || a.kind !== b.kind || a.sizeBytes !== b.sizeBytes) return false
    for (let at = 0; at < a.sizeBytes; at += pieceBytes) {
      const length = Math.min(a.sizeBytes - at, pieceBytes)
      const areRead = (yield* read(calls, copy, inCopy, at, length)) &&
        (yield* read(calls, source, inSource, at, length))
      if (!areRead || sameBytes(buffers, length) < length) return false
    }
    return true
  }

  /** Opens copies, and has the kernel read all of them from the device at the same time. */
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

  /** Compares an open copy with its source. A link has no content to compare. */
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

  /** Compares a copy in the draft with its source. A file is among the open copies; a folder is not. */
  *isSame(draft: number, copies: Copies, { as, isFolder, name }: Placement, source: number): Routine<boolean> {
    this.compared = 0
    const copy = copies.get(as)
    return isFolder
      ? yield* this.isSameFolder(draft, as, source, name)
      : copy !== undefined && (yield* this.isSameFile(copy, source, name))
  }
}

// --- Placed ---------------------------------------------------------------------------------------------------------

/** Gives a copy its name in a folder, and tells whether that succeeded. */
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

/** Tells how long a routine may go on. */
export interface Limits {
  readonly mayGoOn: () => boolean
  /** Whether the job is still owned, so that visible names may be changed. */
  readonly mayPublish: () => boolean
}

/** The placements of a draft, and the indexes of those that get no name. */
export interface ToSettle extends Pick<Filled, "endings" | "placements"> {
  readonly dropped: ReadonlyArray<number>
}

/**
 * Compares and places copies until its time is over, and begins after the placements of the previous turn. After the
 * last placement it ends the existing folders.
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
  const ends: Array<ReadonlyArray<Lost> | undefined> = []
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
  const ended = ends.flatMap((lost, index) => lost === undefined ? [] : [index])
  const lost = sumOf(ends.flatMap((lost = []) => lost.map((property) => ({ [property]: 1 }))))
  return { through, placed, modeless, ended, lost, verified }
}
