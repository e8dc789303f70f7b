/**
 * Compares files, links and folders, one after the other, as far as there is nothing special about them.
 */
import type * as Task from "@fanout/core/Task"
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type { Difference } from "../../Difference.ts"
import type * as Files from "../../Files.ts"
import { inTurns } from "../content/fileReader.ts"
import { buffersOf } from "../files/byteComparison.ts"
import * as ProtectedFiles from "../work/protectedFiles.ts"
import { isLimited } from "../work/readingRate.ts"
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
const comparing = (
  { folders: entries = [], ignore }: Payload,
  buffers: Comparer["buffers"],
  mayOpen: Comparer["mayOpen"]
) => {
  /** For each of the entries, whether it is a folder. */
  const areFolders = entries.flatMap(({ names }) => names.map((name) => name === ""))
  const differing: Array<ComparedEntries["differing"][number]> = []
  const alone: Array<ComparedEntries["alone"][number]> = []
  let properties: ReturnType<typeof MetadataComparison.compare> = []
  let isLink = false
  let [index, same, folders] = [0, 0, 0]
  const differ = (difference: Difference): void => void differing.push({ index: index++, difference })
  const leave = (sizeBytes = 0): false => {
    alone.push({ index: index++, sizeBytes })
    return false
  }
  const settle = (): void => {
    if (Arr.isReadonlyArrayNonEmpty(properties)) return differ({ _tag: "Metadata", properties })
    if (areFolders[index++] === true) folders++
    else same++
  }
  const isToBeRead = (a: number, b: number): boolean => {
    // Files of the kernel say that they have no bytes, so that has to be seen.
    if (a !== b && a > 0 && b > 0) {
      differ({ _tag: "Size", a, b })
      return false
    }
    return a !== b ? leave() : a <= mostBytes || leave(a)
  }
  const comparer = {
    /** Of all files that are the same. */
    bytes: 0,
    buffers,
    mayOpen,
    begin: (a: Files.FileStat, b: Files.FileStat): boolean => {
      const { kind } = a
      const isFolder = areFolders[index] === true
      if (kind !== b.kind || kind === "special" || (kind === "folder") !== isFolder) return leave()
      properties = MetadataComparison.compare(a, b, ignore)
      isLink = kind === "link"
      if (isFolder) settle()
      return isFolder ? false : isLink || isToBeRead(a.sizeBytes, b.sizeBytes)
    },
    end: (at: number | undefined, sameBytes: number): void => {
      if (at === undefined) {
        if (properties.length === 0) comparer.bytes += sameBytes
        settle()
      } else if (isLink) leave()
      else differ({ _tag: "Content", at })
    },
    changed: (side: "A" | "B") => differ({ _tag: "Changed", side }),
    leave: () => leave()
  } satisfies Comparer & { bytes: number }
  return { comparer, result: (): ComparedEntries => ({ _tag: "Entries", same, folders, differing, alone }) }
}

/** Compares them, until it is asked to stop. Where calls are not made at once all are left. */
export const compareEntries = (payload: Payload) =>
  Effect.gen(function*() {
    const { a, b, folders = [] } = payload
    // By itself it is told why.
    const mayOpen = ProtectedFiles.mayOpen(yield* ProtectedFiles.ProtectedFiles)
    const { comparer, result } = comparing(payload, yield* takeBuffers, mayOpen)
    // At a rate they are read one by one.
    const left = (yield* isLimited) ? folders : yield* inTurns(
      folders,
      (calls, folders, mayGoOn) => compareNames(calls, { a, b, folders, comparer }, mayGoOn),
      comparer
    )
    for (const { names } of left) for (const _ of names) comparer.leave()
    return result()
  }).pipe(Effect.scoped)
