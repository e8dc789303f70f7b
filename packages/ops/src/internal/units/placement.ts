/**
 * Gives what is in the draft of a unit its names: read back before, if that is asked for.
 */
import * as Num from "effect/Number"
import { type Answer, type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import { takeName } from "../files/freeName.ts"
import type { Routine } from "../files/routine.ts"
import { removeOwn } from "../files/treeRemoval.ts"
import { type Hasher, make } from "../hash/hasher.ts"
import { componentsOf } from "../path/components.ts"
import { isUnfinished } from "../path/unfinishedFolder.ts"
import {
  comparedBy,
  type Digests,
  type Filled,
  hashedBy,
  type Placement,
  type Settled,
  type Unit
} from "../steps/unit.ts"
import { endFolder } from "./folderEnd.ts"
import { Folders } from "./folderHandles.ts"
import { namesIn } from "./folderNames.ts"
import { openKnown } from "./ownFolder.ts"

// --- Read back ------------------------------------------------------------------------------------------------------

/** As much is read at once as stays in a core's own cache. */
const pieceBytes = 2 ** 17

/** Buffers that nobody reads into for now: to make one takes longer than to fill it. */
const spareBuffers: Array<Buffer> = []

/** So many copies are open at most. */
const mostOpen = 64

/** Copies that are open, or why they are not, by their names. */
type Copies = ReadonlyMap<FilePath.FilePath, Answer<number>>

/** Names of folders in the folders of a copy, by their paths in the draft, as far as they were listed. */
type Listed = Map<FilePath.FilePath, ReadonlySet<FilePath.FilePath>>

/**
 * Opens a folder in the draft, nothing where it has another name: what a file system takes for its name is found by
 * more than one.
 */
function* openIn(
  calls: Calls,
  draft: number,
  path: FilePath.FilePath,
  listed: Listed
): Routine<number | undefined> {
  let [folder, at] = [draft, FilePath.empty]
  for (const name of componentsOf(path)) {
    const names = at === "" ? undefined : listed.get(at) ?? new Set((yield* namesIn(calls, folder))?.folders)
    if (names !== undefined) listed.set(at, names)
    const inner = names?.has(name) === false ? undefined : yield* calls.open(folder, name, "list")
    if (folder !== draft) calls.closeNow(folder)
    if (inner === undefined || isCode(inner)) return undefined
    folder = inner
    at = FilePath.join(at, name)
  }
  return folder
}

/** Reads copies back from the device, and compares their digests with those of what was written. */
class ReadBack {
  private readonly buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(pieceBytes)
  private readonly calls: Calls
  private readonly hasher: Hasher

  constructor(calls: Calls, unit: Unit) {
    this.calls = calls
    this.hasher = make(hashedBy(unit) ?? comparedBy)
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
    spareBuffers.push(this.buffer)
  }

  /** Reads a file that is open. A link has no digest, and can't be opened. */
  private *isSameFile(copy: Answer<number> | undefined, digest: string | undefined): Routine<boolean> {
    const { buffer, calls, hasher } = this
    if (copy === undefined) return false
    if (isCode(copy)) return copy.name === "ELOOP" && digest === undefined
    for (;;) {
      const length = yield* calls.read(copy, buffer, null)
      if (!isCode(length)) hasher.update(buffer.subarray(0, length))
      // A read that does not fill the buffer has met the end.
      if (isCode(length) || length < buffer.length) return hasher.digest() === digest && !isCode(length)
    }
  }

  private *areSameFiles(folder: number, { digests, names }: Digests): Routine<boolean> {
    const listed = new Set((yield* namesIn(this.calls, folder))?.others)
    if (!names.every((name) => listed.has(name))) return false
    for (let from = 0; from < names.length; from += mostOpen) {
      const copies = yield* this.open(folder, names.slice(from, from + mostOpen))
      let areSame = true
      for (const [index, copy] of Array.from(copies.values()).entries()) {
        areSame &&= yield* this.isSameFile(copy, digests[from + index])
      }
      this.closeEach(copies)
      if (!areSame) return false
    }
    return true
  }

  /** Whether a copy in the draft, which is open if it is a file, is what was written. */
  *isSame(draft: number, copies: Copies, { as, copied, isFolder, name, path }: Placement): Routine<boolean> {
    const { calls } = this
    if (!isFolder) return yield* this.isSameFile(copies.get(as), copied.digests[0]?.digests[0])
    const [top, listed]: [FilePath.FilePath, Listed] = [FilePath.join(path, name), new Map()]
    for (const inner of copied.digests) {
      const below = FilePath.join(as, FilePath.make(inner.path.slice(top.length + 1)))
      const folder = yield* openIn(calls, draft, below, listed)
      if (folder === undefined) return false
      const areSame = yield* this.areSameFiles(folder, inner)
      calls.closeNow(folder)
      if (!areSame) return false
    }
    return true
  }
}

/** How many files of what was copied are read back. */
const comparedIn = ({ copied: { digests } }: Placement): number => Num.sumAll(digests.map(({ names }) => names.length))

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
  const { draft: draftName, isVerified, keeps, target } = unit
  const targets = new Folders(calls, target)
  const top = yield* targets.at(FilePath.empty)
  const draft = top === undefined ? undefined : yield* openKnown(calls, top, draftName)
  const left = placements.slice(before.through)
  const readBack = isVerified && draft !== undefined ? new ReadBack(calls, unit) : undefined
  const copies = readBack === undefined || draft === undefined
    ? new Map<never, never>()
    : yield* readBack.open(draft, left.flatMap(({ as, isFolder }) => isFolder ? [] : [as]))
  const [placed, modeless] = [Array.from(before.placed), Array.from(before.modeless)]
  let { through, verified } = before
  for (const one of left) {
    if (through > before.through && !mayGoOn()) break
    const index = through++
    const to = yield* targets.at(one.path)
    if (draft === undefined || to === undefined || dropped.includes(index)) continue
    if (readBack !== undefined && !(yield* readBack.isSame(draft, copies, one))) continue
    if (!mayPublish() || !(yield* place(calls, draft, one, to))) continue
    if (readBack !== undefined) verified += comparedIn(one)
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
  readBack?.close(copies)
  if (draft !== undefined) calls.closeNow(draft)
  if (isThrough && top !== undefined) {
    yield* removeOwn(calls, top, draftName, (stat) => isUnfinished(stat, calls.user()))
  }
  targets.close()
  const ended = ends.flatMap((how, index) => how === undefined ? [] : [index])
  const ownersLost = ends.filter((how) => how === "ownerLost").length
  return { through, placed, modeless, ended, ownersLost, verified }
}
