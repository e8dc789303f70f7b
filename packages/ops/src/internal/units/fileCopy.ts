/**
 * Copies a file or link into a draft: content, owner, attributes, mode and times.
 */
import { type Answer, type Calls, type Failed, isCode, isFailed } from "../../Calls.ts"
import type * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import type { Lost } from "../../ProgressUnits.ts"
import type { Routine } from "../files/routine.ts"
import { isChanged } from "../files/statComparison.ts"
import { type Held, heldBy, keep, type Keeping, setIdBits } from "../steps/attributes.ts"

/**
 * Result of a copy. `left`: nothing was done, and a single copy is needed. `spoiled`: a partial copy could not be
 * removed. `stopped`: the unit's time was over, and the file counts as not begun.
 */
export type FileCopied = "copied" | "left" | "stopped" | "spoiled"

/** A source, and the name of its copy in the draft. */
export interface FileToCopy {
  readonly from: number
  readonly name: FilePath.FilePath
  /** The source when the walk met it. */
  readonly stat: Files.FileStat
  readonly to: number
  readonly as: FilePath.FilePath
}

/** Options of all copies. */
export interface FileCopyOptions extends Keeping {
  /** Asked between the pieces of a file. */
  readonly mayGoOn: () => boolean
  /** Takes the content, piece by piece. The bytes are valid until it returns. */
  readonly take: ((bytes: Uint8Array) => void) | undefined
}

/** Unused buffers: to allocate one takes longer than to fill it. */
const spareBuffers: Array<Buffer> = []

/** Copies one file after the other, until it is closed. */
export class FileCopy {
  /** Properties of its source that the last copy could not be given. */
  lost: ReadonlyArray<Lost> = []
  private readonly buffer = spareBuffers.pop() ?? Buffer.allocUnsafeSlow(2 ** 18)
  private readonly calls: Calls
  private readonly options: FileCopyOptions
  /** Whether a file that is created with a mode gets that mode, in spite of the umask and of inherited bits. */
  private readonly modes = new Map<number, boolean>()

  constructor(calls: Calls, options: FileCopyOptions) {
    this.calls = calls
    this.options = options
  }

  close(): void {
    spareBuffers.push(this.buffer)
  }

  /** Reads a file for `take`, and tells whether the file stayed the same meanwhile. */
  *read(folder: number, name: FilePath.FilePath): Routine<boolean> {
    const { buffer, calls, options: { take } } = this
    const file = yield* calls.open(folder, name, "read")
    if (isCode(file)) return false
    const before = yield* calls.stat(file)
    let length: Answer<number> = buffer.length
    // A read that does not fill the buffer has reached the end.
    while (!isCode(length) && length === buffer.length) {
      length = yield* calls.read(file, buffer, null)
      if (!isCode(length)) take?.(buffer.subarray(0, length))
    }
    const after = yield* calls.stat(file)
    calls.closeNow(file)
    return !isCode(before) && !isCode(length) && !isCode(after) && !isChanged(before, after)
  }

  *copy(file: FileToCopy): Routine<FileCopied> {
    this.lost = []
    return file.stat.kind === "link" ? yield* this.copyLink(file) : yield* this.copyContent(file)
  }

  private *takeBack({ as, to }: FileToCopy, end: "left" | "stopped"): Routine<FileCopied> {
    const removed = yield* this.calls.unlink(to, as)
    return isCode(removed) && removed.name !== "ENOENT" ? "spoiled" : end
  }

  private *copyLink(file: FileToCopy): Routine<FileCopied> {
    const { calls } = this
    const { as, from, name, stat, to } = file
    const held = yield* heldBy(calls, { folder: from, name }, this.options)
    if (isFailed(held)) return "left"
    const target = yield* calls.readLink(from, name)
    if (isCode(target) || isCode(yield* calls.makeLink(target, to, as))) return "left"
    const lost = yield* keep(calls, { folder: to, name: as }, { stat, held }, this.options)
    return this.isKept(lost) ? "copied" : yield* this.takeBack(file, "left")
  }

  private *copyContent(file: FileToCopy): Routine<FileCopied> {
    const { calls } = this
    const source = yield* calls.open(file.from, file.name, "read")
    if (isCode(source)) return "left"
    const copied = yield* this.copyOpen(source, file)
    calls.closeNow(source)
    return copied
  }

  private *copyOpen(source: number, file: FileToCopy): Routine<FileCopied> {
    const { calls } = this
    const { as, stat, to } = file
    const held = yield* heldBy(calls, source, this.options)
    if (isFailed(held)) return "left"
    const mode = this.options.keeps.has("mode") ? stat.mode & ~setIdBits : stat.mode & 0o777
    const copy = yield* calls.createAs(to, as, mode)
    if (isCode(copy)) return "left"
    const filled = yield* this.fill(source, copy, stat, held)
    // Some file systems report a failed write only at the close.
    const isClosed = !isCode(yield* calls.close(copy))
    if (filled === "copied" && isClosed) return "copied"
    return yield* this.takeBack(file, filled === "stopped" ? "stopped" : "left")
  }

  private *fill(source: number, copy: number, stat: Files.FileStat, held: Held): Routine<FileCopied> {
    const { calls } = this
    const written = yield* this.writeAll(source, copy, stat)
    if (written !== "copied") return written
    const after = yield* calls.stat(source)
    // The file may have been replaced between the walk and the open.
    if (isCode(after) || isChanged(stat, after)) return "left"
    const hasMode = yield* this.hasMode(copy, stat.mode, held)
    return this.isKept(yield* keep(calls, copy, { stat, held, hasMode }, this.options)) ? "copied" : "left"
  }

  // --- Content ------------------------------------------------------------------------------------------------------

  private *writeAll(source: number, copy: number, { allocatedBytes, sizeBytes }: Files.FileStat): Routine<FileCopied> {
    // Files of the kernel, as in /proc, have content and a size of 0.
    if (sizeBytes === 0) return (yield* this.calls.read(source, this.buffer, 0)) === 0 ? "copied" : "left"
    const mayHaveHoles = this.options.keeps.has("sparse") && allocatedBytes < sizeBytes
    const copied = mayHaveHoles ? yield* this.copyData(source, copy, sizeBytes) : undefined
    return copied ?? (yield* this.copyBytes(source, copy, 0, sizeBytes))
  }

  /** Copies a range: by the kernel if it is larger than the buffer and the kernel can copy between these files. */
  private *copyBytes(source: number, copy: number, start: number, end: number): Routine<FileCopied> {
    const { mayGoOn, take } = this.options
    let isByKernel = take === undefined && end - start >= this.buffer.length
    for (let at = start; at < end;) {
      if (at > start && !mayGoOn()) return "stopped"
      const most = Math.min(end - at, this.buffer.length)
      const length = isByKernel
        ? yield* this.calls.copyRange(source, copy, at, most)
        : yield* this.copyPiece(source, copy, at, most)
      if (!isCode(length) && length > 0) at += length
      else if (isByKernel) isByKernel = false
      else return "left"
    }
    return "copied"
  }

  /** Copies the next piece through memory, and gives its size. */
  private *copyPiece(source: number, copy: number, at: number, most: number): Routine<Answer<number>> {
    const { buffer, calls } = this
    const length = yield* calls.read(source, most === buffer.length ? buffer : buffer.subarray(0, most), at)
    if (isCode(length) || length === 0) return length
    const piece = length === buffer.length ? buffer : buffer.subarray(0, length)
    this.options.take?.(piece)
    // A full disk takes only a part.
    const written = yield* calls.write(copy, piece, at)
    return written === length ? length : 0
  }

  /** Gives `take` the zeros of a hole. */
  private takeHole(length: number): void {
    const { buffer, options: { take } } = this
    if (take === undefined || length === 0) return
    buffer.fill(0)
    for (let left = length; left > 0; left -= buffer.length) take(buffer.subarray(0, Math.min(left, buffer.length)))
  }

  /** Copies the data between holes. Gives `undefined` where the file system does not tell its holes. */
  private *copyData(source: number, copy: number, sizeBytes: number): Routine<FileCopied | undefined> {
    const { calls } = this
    for (let at = 0; at < sizeBytes;) {
      const data = yield* calls.seek(source, at, "data")
      if (isCode(data) && data.name !== "ENXIO") return at === 0 ? undefined : "left"
      const start = isCode(data) ? sizeBytes : Math.min(data, sizeBytes)
      const hole = isCode(data) ? sizeBytes : yield* calls.seek(source, start, "hole")
      if (isCode(hole)) return "left"
      const end = Math.min(hole, sizeBytes)
      this.takeHole(start - at)
      const copied = yield* this.copyBytes(source, copy, start, end)
      if (copied !== "copied") return copied
      at = end
    }
    return isCode(yield* calls.truncate(copy, sizeBytes)) ? "left" : "copied"
  }

  // --- Properties ---------------------------------------------------------------------------------------------------

  /** Notes what a copy could not be given, and tells whether it is done. */
  private isKept(lost: ReadonlyArray<Lost> | Failed): boolean {
    if (isFailed(lost)) return false
    this.lost = lost
    return true
  }

  /** Whether a copy has the mode that it is to have since it was made. An owner or an access list changes the mode. */
  private *hasMode(copy: number, mode: number, { attributes }: Held): Routine<boolean> {
    const { calls, modes, options: { keeps } } = this
    if (!keeps.has("mode")) return true
    if (keeps.has("owner") || attributes.length > 0 || (mode & setIdBits) !== 0) return false
    const known = modes.get(mode)
    if (known !== undefined) return known
    const stat = yield* calls.stat(copy)
    const isGiven = !isCode(stat) && stat.mode === mode
    modes.set(mode, isGiven)
    return isGiven
  }
}
