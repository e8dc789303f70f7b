/**
 * What jobs do with objects: a module that is loaded by a job that has some, with all that it needs.
 */
export * as copy from "./objectCopyLive.ts"
export * as deletion from "./objectDeleteLive.ts"
export { layerFiles } from "./objectFiles.ts"
export * as hash from "./objectHashLive.ts"
export * as move from "./objectMoveLive.ts"
export { layerPreview } from "./objectPreview.ts"
export { isReachable } from "./objectReach.ts"
export * as verify from "./objectVerifyLive.ts"
