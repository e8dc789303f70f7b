/**
 * What is common to files and folders that are open.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import type * as FilePath from "../../FilePath.ts"
import * as Files from "../../Files.ts"
import { type Call, FilesError } from "../../FilesError.ts"
import type { Done, SystemCalls } from "./systemCalls.ts"

/** Whether it is one component. */
export const isName = (name: FilePath.FilePath): boolean =>
  name !== "" && name !== "." && name !== ".." && !name.includes("/")

/** Error of a call. */
export const failure = (call: Call, path: FilePath.FilePath, code: string, target?: FilePath.FilePath): FilesError =>
  new FilesError({ call, path, target: Option.fromUndefinedOr(target), code })

/**
 * Runs one call. It can't be called off: the kernel goes on with it, so an interrupted fiber must wait for it too.
 */
export const attempt = <A>(
  call: Call,
  path: FilePath.FilePath,
  start: (done: Done<A>) => void,
  target?: FilePath.FilePath
): Effect.Effect<A, FilesError> =>
  Effect.uninterruptible(Effect.callback<A, FilesError>((resume) => {
    start((code, value) =>
      resume(code === undefined ? Effect.succeed(value) : Effect.fail(failure(call, path, code, target)))
    )
  }))

/** Something that is open, until it is closed or its scope ends. */
export abstract class Open {
  readonly path: FilePath.FilePath
  protected readonly calls: SystemCalls
  protected readonly descriptor: number
  protected isOpen = true

  constructor(calls: SystemCalls, descriptor: number, path: FilePath.FilePath) {
    this.calls = calls
    this.descriptor = descriptor
    this.path = path
  }

  /** Never hands a descriptor to the kernel that is closed: the number may be somebody else's by now. */
  protected call<A>(
    call: Call,
    start: (calls: SystemCalls, descriptor: number, done: Done<A>) => void,
    path: FilePath.FilePath = this.path,
    target?: FilePath.FilePath
  ): Effect.Effect<A, FilesError> {
    return Effect.suspend(() =>
      this.isOpen
        ? attempt<A>(call, path, (done) => start(this.calls, this.descriptor, done), target)
        : Effect.fail(failure(call, path, "EBADF"))
    )
  }

  get stat(): Effect.Effect<Files.FileStat, FilesError> {
    return this.call<Files.FileStat>("fstat", (calls, descriptor, done) => calls.stat(descriptor, done))
  }

  /** What the finalizer of the scope does. */
  abstract readonly release: Effect.Effect<void>
}

/**
 * Opens something that is closed with its scope. `Effect.acquireRelease` keeps the context for what releases it: to
 * merge that takes longer than to close a file, which needs none.
 */
export const scoped = <A extends Open>(
  open: Effect.Effect<A, FilesError>
): Effect.Effect<A, FilesError, Scope.Scope> =>
  Files.waitForDescriptor(
    Effect.uninterruptible(
      Effect.flatMap(Effect.scope, (scope) => Effect.tap(open, ({ release }) => Scope.addFinalizer(scope, release)))
    )
  )
