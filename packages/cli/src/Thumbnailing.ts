/**
 * What `fanout thumbnail` needs of the jobs, in one module that is loaded only by it.
 */
export * as SystemFiles from "@fanout/ops/SystemFiles"
export * as Thumbnail from "@fanout/ops/Thumbnail"
export * as ThumbnailTask from "@fanout/ops/ThumbnailTask"
