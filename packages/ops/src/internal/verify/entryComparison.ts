/**
 * Compares files, links and folders, one after the other, as far as there is nothing special about them.
 */
import * as Interrupter from "@fanout/core/Interrupter"
import * as Progress from "@fanout/core/Progress"
import type * as Task from "@fanout/core/Task"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Difference } from "../../Difference.ts"
import * as Files from "../../Files.ts"
import { behind } from "../content/fileReader.ts"
import { buffersOf } from "../files/byteComparison.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import * as MetadataComparison from "./metadataComparison.ts"
import { compareNames, type Comparer } from "./pairComparison.ts"
import type { ComparedEntries, VerifyEntry } from "./verifyEntry.ts"

type Payload = Task.Payload<typeof VerifyEntry>

/** As much of either file is read at once as stays in a core's own cache with that of the other. */
const pieceBytes = 2 ** 17

/** Larger files take long enough to be worth a task of their own: other threads have something to do meanwhile. */
const mostBytes = 2 ** 20

const takeBuffers = buffersOf(pieceBytes)

/** Takes down how entries compare. */
class Comparing implements Comparer {
  readonly buffers: Comparer["buffers"]
  readonly mayOpen: Comparer["mayOpen"]
  private readonly ignore: Payload["ignore"]
  /** For each of the entries, whether it is a folder. */
  private readonly areFolders: ReadonlyArray<boolean>
  private index = 0
  private properties: ReturnType<typeof MetadataComparison.compare> = []
  private isLink = false
  private same = 0
  private folders = 0
  private readonly differing: Array<ComparedEntries["differing"][number]> = []
  private readonly alone: Array<ComparedEntries["alone"][number]> = []
  /** Bytes of all files that are the same. */
  bytes = 0

  constructor(
    { folders = [], ignore }: Payload,
    buffers: Comparer["buffers"],
    mayOpen: Comparer["mayOpen"]
  ) {
    this.buffers = buffers
    this.ignore = ignore
    this.mayOpen = mayOpen
    this.areFolders = folders.flatMap(({ names }) => names.map((name) => name === ""))
  }

  get result(): ComparedEntries {
    const { alone, differing, folders, same } = this
    return { _tag: "Entries", same, folders, differing, alone }
  }

  begin(a: Files.FileStat, b: Files.FileStat): boolean {
    const { kind } = a
    const isFolder = this.areFolders[this.index] === true
    if (kind !== b.kind || kind === "special" || (kind === "folder") !== isFolder) {
      this.leave()
      return false
    }
    this.properties = MetadataComparison.compare(a, b, this.ignore)
    this.isLink = kind === "link"
    if (isFolder) this.settle()
    return isFolder ? false : this.isLink || this.isToBeRead(a.sizeBytes, b.sizeBytes)
  }

  private isToBeRead(a: number, b: number): boolean {
    // Files of the kernel say that they have no bytes, so that has to be seen.
    if (a !== b && a > 0 && b > 0) this.differ({ _tag: "Size", a, b })
    else if (a !== b) this.leave()
    else if (a > mostBytes) this.leave(a)
    else return true
    return false
  }

  end(at: number | undefined, sameBytes: number): void {
    if (at === undefined) {
      if (this.properties.length === 0) this.bytes += sameBytes
      this.settle()
    } else if (this.isLink) {
      this.leave()
    } else {
      this.differ({ _tag: "Content", at })
    }
  }

  changed(side: "A" | "B"): void {
    this.differ({ _tag: "Changed", side })
  }

  leave(sizeBytes = 0): void {
    this.alone.push({ index: this.index++, sizeBytes })
  }

  private settle(): void {
    const { properties } = this
    if (Arr.isReadonlyArrayNonEmpty(properties)) return this.differ({ _tag: "Metadata", properties })
    if (this.areFolders[this.index++] === true) this.folders++
    else this.same++
  }

  private differ(difference: Difference): void {
    this.differing.push({ index: this.index++, difference })
  }
}

/** Compares them, until it is asked to stop. Where calls are not made at once all are left. */
export const compareEntries = (payload: Payload) =>
  Effect.gen(function*() {
    const { atOnce } = yield* Files.Files
    const { a, b, folders = [] } = payload
    // By itself it is told why.
    const mayOpen = ProtectedFiles.mayOpen(yield* ProtectedFiles.ProtectedFiles)
    const comparer = new Comparing(payload, yield* takeBuffers, mayOpen)
    const compare = (folders: ReadonlyArray<Files.FilesIn>) =>
      atOnce((calls, mayGoOn) => compareNames(calls, { a, b, folders, comparer }, mayGoOn))
    for (let left = folders; left.length > 0;) {
      const { bytes } = comparer
      const compared = yield* compare(left)
      if (Option.isNone(compared)) left.forEach(({ names }) => names.forEach(() => comparer.leave()))
      yield* Progress.add("bytes", comparer.bytes - bytes)
      yield* Interrupter.check
      left = Option.match(compared, { onNone: () => [], onSome: (count) => behind(left, count) })
    }
    return comparer.result
  }).pipe(Effect.scoped)
