/**
 * Compares files, links and folders of two trees that have the same names, one pair after the other: calls straight one
 * after the other, with nothing in between but what has to be decided. They are most of what a small file takes.
 */
import { type Calls, isCode } from "../../Calls.ts"
import * as FilePath from "../../FilePath.ts"
import type * as Files from "../../Files.ts"
import { mayBeOpened } from "../content/fileReader.ts"
import { sameBytes } from "../files/byteComparison.ts"
import { isName } from "../files/openHandle.ts"
import { isChanged, isShared } from "../files/statComparison.ts"

/** What takes how two compare. */
export interface Comparer {
  /** Where what is read of either comes to lie, piece by piece. Both are of one size. */
  readonly buffers: readonly [a: Uint8Array, b: Uint8Array]
  /** Whether a file may be opened, where some must not be. Then each is looked at before, and both are left. */
  readonly mayOpen?: ((stat: Files.FileStat) => boolean) | undefined
  /** Takes what the next two are. Tells whether their content, or where they lead as links, is to be compared. */
  readonly begin: (a: Files.FileStat, b: Files.FileStat) => boolean
  /**
   * Takes the place of the first byte that differs, or that only one of them has, if there is one, 0 of links; and how
   * many bytes were compared and are the same.
   */
  readonly end: (at: number | undefined, sameBytes: number) => void
  /** Is told, instead of that, that the one in A or the one in B is not what it was when it was opened. */
  readonly changed: (side: "A" | "B") => void
  /** Is told that the next two, or these two, can't be compared like that. Nothing more is told of them. */
  readonly leave: () => void
}

/** Reads so many bytes, and tells whether there were as many. */
const fill = (calls: Calls, file: number, buffer: Uint8Array, length: number): boolean => {
  for (let got = 0; got < length;) {
    const more = calls.read(file, buffer.subarray(got, length), null).now()
    if (isCode(more) || more === 0) return false
    got += more
  }
  return true
}

/** How many bytes are the same from the beginning on; nothing where not all of them can be read. */
const compareContent = (
  calls: Calls,
  [a, b]: readonly [number, number],
  sizeBytes: number,
  buffers: Comparer["buffers"]
): number | undefined => {
  const isEmpty = (file: number, buffer: Uint8Array) => calls.read(file, buffer.subarray(0, 1), null).now() === 0
  // Files of the kernel say that they have none.
  if (sizeBytes === 0 && !(isEmpty(a, buffers[0]) && isEmpty(b, buffers[1]))) return undefined
  for (let offset = 0; offset < sizeBytes;) {
    const length = Math.min(buffers[0].length, sizeBytes - offset)
    if (!fill(calls, a, buffers[0], length) || !fill(calls, b, buffers[1], length)) return undefined
    const same = sameBytes(buffers, length)
    offset += same
    if (same < length) return offset
  }
  return sizeBytes
}

const compareOpen = (calls: Calls, a: number, b: number, comparer: Comparer): void => {
  const [statA, statB] = [calls.stat(a).now(), calls.stat(b).now()]
  if (isCode(statA) || isCode(statB)) return comparer.leave()
  if (!comparer.begin(statA, statB)) return
  if (isShared(statA, statB)) return comparer.end(undefined, 0)
  const [sizeA, sizeB] = [statA.sizeBytes, statB.sizeBytes]
  const areFiles = statA.kind === "file" && statB.kind === "file"
  const same = areFiles ? compareContent(calls, [a, b], Math.min(sizeA, sizeB), comparer.buffers) : undefined
  const isOther = (file: number, stat: Files.FileStat): boolean => {
    const after = calls.stat(file).now()
    return isCode(after) || isChanged(stat, after)
  }
  if (isOther(a, statA)) comparer.changed("A")
  else if (isOther(b, statB)) comparer.changed("B")
  else if (same === undefined) comparer.leave()
  else comparer.end(same === sizeA && same === sizeB ? undefined : same, same)
}

const compareLinks = (calls: Calls, a: number, b: number, name: FilePath.FilePath, comparer: Comparer): void => {
  const [statA, statB] = [calls.lstat(a, name).now(), calls.lstat(b, name).now()]
  if (isCode(statA) || isCode(statB) || statA.kind !== "link" || statB.kind !== "link") return comparer.leave()
  if (!comparer.begin(statA, statB)) return
  const [toA, toB] = [calls.readLink(a, name).now(), calls.readLink(b, name).now()]
  if (isCode(toA) || isCode(toB)) comparer.leave()
  else comparer.end(toA === toB ? undefined : 0, 0)
}

const compareNamed = (calls: Calls, a: number, b: number, name: FilePath.FilePath, comparer: Comparer): void => {
  if (!mayBeOpened(calls, a, name, comparer) || !mayBeOpened(calls, b, name, comparer)) return comparer.leave()
  const inA = calls.open(a, name, "read").now()
  if (isCode(inA)) return inA.name === "ELOOP" ? compareLinks(calls, a, b, name, comparer) : comparer.leave()
  const inB = calls.open(b, name, "read").now()
  if (isCode(inB)) comparer.leave()
  else {
    compareOpen(calls, inA, inB, comparer)
    calls.closeNow(inB)
  }
  calls.closeNow(inA)
}

/** What is to be compared. */
export interface Comparison {
  /** Real paths of the trees. */
  readonly a: FilePath.FilePath
  readonly b: FilePath.FilePath
  /** By their paths in both trees. The empty name stands for the folder itself. */
  readonly folders: ReadonlyArray<Files.FilesIn>
  readonly comparer: Comparer
}

/** Compares, and gives how many of the names were dealt with: fewer than there are where it may not go on. */
export const compareNames = (calls: Calls, { a, b, comparer, folders }: Comparison, mayGoOn: () => boolean): number => {
  let count = 0
  for (const { names, path } of folders) {
    if (count > 0 && !mayGoOn()) break
    const [inA, inB] = [a, b].map((top) => calls.openPath(FilePath.join(top, path), "folder").now())
    for (const name of names) {
      if (count > 0 && !mayGoOn()) break
      count++
      if (typeof inA !== "number" || typeof inB !== "number") comparer.leave()
      else if (name === "") compareOpen(calls, inA, inB, comparer)
      else if (isName(name)) compareNamed(calls, inA, inB, name, comparer)
      else comparer.leave()
    }
    for (const folder of [inA, inB]) if (typeof folder === "number") calls.closeNow(folder)
  }
  return count
}
