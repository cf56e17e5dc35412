#include "Workers.h"

namespace peer::runtime::sim {

Workers::~Workers() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  wake.notify_all();
  for (std::thread &thread : threads)
    thread.join();
}

void Workers::run(unsigned count, const std::function<void(Scratch &)> &task) {
  std::lock_guard one(launching);
  {
    std::lock_guard lock(mutex);
    while (scratch.size() < count)
      scratch.push_back(std::make_unique<Scratch>());
    while (threads.size() + 1 < count)
      threads.emplace_back([this, number = threads.size() + 1] { serve(number); });
    work = &task;
    open = count - 1;
  }
  for (unsigned i = 1; i < count; ++i)
    wake.notify_one();
  task(*scratch[0]);
  std::unique_lock lock(mutex);
  open = 0;
  done.wait(lock, [&] { return busy == 0; });
}

void Workers::serve(size_t number) {
  std::unique_lock lock(mutex);
  while (true) {
    wake.wait(lock, [&] { return stopping || open != 0; });
    if (stopping)
      return;
    --open;
    ++busy;
    Scratch &mine = *scratch[number];
    lock.unlock();
    (*work)(mine);
    lock.lock();
    if (--busy == 0)
      done.notify_one();
  }
}

} // namespace peer::runtime::sim
